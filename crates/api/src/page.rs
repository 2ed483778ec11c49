//! Cursor paging, the same for every list. Cursors are opaque: they name the last item seen, so a
//! page stays stable while rows come and go above it.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema, schema::OneOfBuilder};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, in the order asked for.
    pub items: Vec<T>,
    /// Send this as `cursor` for the next page; null on the last one.
    pub next: Option<String>,
    /// How many items match altogether, where that is known cheaply.
    pub total: Option<Count>,
}

impl<T> Page<T> {
    /// The whole of a list that fits on one page.
    pub fn whole(items: Vec<T>) -> Self {
        let value = items.len() as u64;
        Self {
            items,
            next: None,
            total: Some(Count { value, exact: true }),
        }
    }

    /// The same page with each item turned into another.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(turn).collect(),
            next: self.next,
            total: self.total,
        }
    }
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("One page of a list."))
            .property(
                "items",
                ArrayBuilder::new()
                    .items(Ref::from_schema_name(T::name()))
                    .description(Some("The items, in the order asked for.")),
            )
            .required("items")
            .property(
                "next",
                ObjectBuilder::new()
                    .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                    .description(Some(
                        "Send this as `cursor` for the next page; null on the last one.",
                    )),
            )
            .required("next")
            .property(
                "total",
                OneOfBuilder::new()
                    .item(ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null)))
                    .item(Ref::from_schema_name(Count::name()))
                    .description(Some(
                        "How many items match altogether, where that is known cheaply.",
                    )),
            )
            .required("total")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        schemas.push((Count::name().into_owned(), Count::schema()));
        T::schemas(schemas);
    }
}

/// How many items match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Count {
    /// The number counted.
    pub value: u64,
    /// False when counting stopped at the limit: there are more than `value`.
    pub exact: bool,
}

/// The query parameters of a plain list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct PageQuery {
    /// Where to go on: the `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page (default 50, at most 500).
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}
