//! One SQL text for both databases: statements with `$n` placeholders, their arguments, and rows read by position.
//! It is not an abstraction over SQL dialects: the statements of this crate keep to what SQLite and PostgreSQL share.

use std::borrow::Cow;

use fleet::{
    CertificateId, DeviceId, FileId, MatchId, OperationId, SessionId, SetupKeyId, TenantId,
    Timestamp, TokenId, TransferId, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _};
use uuid::Uuid;

use crate::error::{Error, Result};

/// One argument of a statement. The types are the four that both databases share.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
    Blob(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
}

/// A statement and its arguments. The text comes from this crate only; what users and devices say are arguments.
#[derive(Debug, Clone)]
pub(crate) struct Sql {
    text: Cow<'static, str>,
    args: Vec<Arg>,
    /// Whether it stays prepared.
    keep: bool,
}

/// A statement whose text is fixed.
pub(crate) fn sql(text: &'static str) -> Sql {
    Sql {
        text: Cow::Borrowed(text),
        args: Vec::new(),
        keep: true,
    }
}

/// A statement whose text this crate assembled.
pub(crate) fn built(text: String) -> Sql {
    Sql {
        text: Cow::Owned(text),
        args: Vec::new(),
        keep: true,
    }
}

/// JSON text of a value of ours.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Invalid(e.to_string()))
}

/// A value from the JSON text of a row.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(Error::damaged)
}

/// The same for what a row can do without: damaged, it is as if it were empty.
pub(crate) fn from_json_or_empty<T: DeserializeOwned + Default>(
    text: &str,
    what: &'static str,
) -> T {
    from_json(text).unwrap_or_else(|error| {
        tracing::error!(what, %error, "a damaged field was read as empty");
        T::default()
    })
}

/// Rows of the largest statement of a bulk insert; larger ones are not faster.
const BULK_ROWS: usize = 256;

/// A rest of so few rows has a statement that stays prepared; longer rests are too many different ones.
const BULK_REST_KEPT: usize = 8;

/// An insert of many rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bulk {
    /// What it begins with; ends in `VALUES `.
    pub(crate) into: &'static str,
    /// What follows the rows: ` ON CONFLICT ...`. Then no two rows may be the same one.
    pub(crate) then: &'static str,
    /// How many arguments a row has.
    pub(crate) columns: usize,
}

impl Bulk {
    /// Rows that are all new.
    pub(crate) const fn insert(into: &'static str, columns: usize) -> Bulk {
        let then = "";
        Bulk {
            into,
            then,
            columns,
        }
    }

    /// The text for so many rows. To SQLite `$1` is a name, and thousands of names cost more than the rows: it gets
    /// `?`.
    fn text(&self, rows: usize, nameless: bool) -> String {
        let mut text = String::from(self.into);
        for n in 0..rows {
            text.push_str(if n == 0 { "(" } else { ", (" });
            for column in 0..self.columns {
                text.push_str(if column == 0 { "" } else { ", " });
                if nameless {
                    text.push('?');
                } else {
                    use std::fmt::Write as _;
                    let _ = write!(text, "${}", n * self.columns + column + 1);
                }
            }
            text.push(')');
        }
        text.push_str(self.then);
        text
    }
}

/// Inserts many rows with few statements. `row` pushes the arguments of one.
pub(crate) async fn bulk_values<T>(
    conn: &mut Conn,
    bulk: Bulk,
    rows: Vec<T>,
    row: impl Fn(T, &mut Vec<Arg>),
) -> Result<()> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let size = rows.len().min(BULK_ROWS);
        let mut args = Vec::with_capacity(size * bulk.columns);
        for item in rows.by_ref().take(size) {
            row(item, &mut args);
        }
        let text = bulk.text(size, matches!(conn, Conn::Sqlite(_)));
        conn.execute(Sql {
            text: Cow::Owned(text),
            args,
            keep: size == BULK_ROWS || size <= BULK_REST_KEPT,
        })
        .await?;
    }
    Ok(())
}

impl Sql {
    /// The statement with more fixed text.
    pub(crate) fn then(mut self, text: &'static str) -> Sql {
        self.push(text);
        self
    }

    /// Binds the next argument (`$1`, `$2`, ...).
    pub(crate) fn bind(mut self, arg: impl Into<Arg>) -> Sql {
        self.args.push(arg.into());
        self
    }

    /// Appends fixed text.
    pub(crate) fn push(&mut self, text: &'static str) -> &mut Sql {
        self.text.to_mut().push_str(text);
        self
    }

    /// Appends an argument and its placeholder.
    pub(crate) fn arg(&mut self, arg: impl Into<Arg>) -> &mut Sql {
        use std::fmt::Write as _;
        self.args.push(arg.into());
        let n = self.args.len();
        let _ = write!(self.text.to_mut(), "${n}");
        self
    }

    /// Appends `(a, b, c, c)`, for `IN`: the last one is there until their number is a power of two, so that few
    /// different statements are prepared. An empty list becomes `(NULL)`, which nothing is in.
    pub(crate) fn list<A: Into<Arg>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Sql {
        let mut args: Vec<Arg> = args.into_iter().map(Into::into).collect();
        let Some(last) = args.last().cloned() else {
            return self.push("(NULL)");
        };
        args.resize(args.len().next_power_of_two(), last);
        for (n, arg) in args.into_iter().enumerate() {
            self.push(if n == 0 { "(" } else { ", " }).arg(arg);
        }
        self.push(")")
    }

    fn sqlite(self) -> Result<(AssertSqlSafe<Cow<'static, str>>, SqliteArguments)> {
        let mut out = SqliteArguments::default();
        out.reserve(self.args.len(), 0);
        for arg in self.args {
            let added = match arg {
                Arg::Int(v) => out.add(v),
                Arg::Text(v) => out.add(v),
                Arg::Blob(v) => out.add(v),
                Arg::Uuid(v) => out.add(v),
            };
            added.map_err(|e| Error::Invalid(e.to_string()))?;
        }
        Ok((AssertSqlSafe(self.text), out))
    }

    fn postgres(self) -> Result<(AssertSqlSafe<Cow<'static, str>>, PgArguments)> {
        let mut out = PgArguments::default();
        out.reserve(self.args.len(), 0);
        for arg in self.args {
            let added = match arg {
                Arg::Int(v) => out.add(v),
                // PostgreSQL has no NUL in its text; a device that sends one must not stop the others' commit.
                Arg::Text(Some(v)) if v.contains('\0') => out.add(v.replace('\0', "\u{fffd}")),
                Arg::Text(v) => out.add(v),
                Arg::Blob(v) => out.add(v),
                Arg::Uuid(v) => out.add(v),
            };
            added.map_err(|e| Error::Invalid(e.to_string()))?;
        }
        Ok((AssertSqlSafe(self.text), out))
    }
}

macro_rules! args {
    ($($from:ty => $variant:ident, |$v:ident| $map:expr;)*) => {$(
        impl From<$from> for Arg {
            fn from($v: $from) -> Arg { Arg::$variant(Some($map)) }
        }
        impl From<Option<$from>> for Arg {
            fn from(value: Option<$from>) -> Arg { Arg::$variant(value.map(|$v| $map)) }
        }
    )*};
}
args! {
    i64 => Int, |v| v;
    u64 => Int, |v| i64::try_from(v).unwrap_or(i64::MAX);
    u32 => Int, |v| i64::from(v);
    usize => Int, |v| i64::try_from(v).unwrap_or(i64::MAX);
    bool => Int, |v| i64::from(v);
    Timestamp => Int, |v| v.0;
    String => Text, |v| v;
    &str => Text, |v| v.to_owned();
    &String => Text, |v| v.clone();
    Vec<u8> => Blob, |v| v;
    &[u8] => Blob, |v| v.to_vec();
    [u8; 32] => Blob, |v| v.to_vec();
    &[u8; 32] => Blob, |v| v.to_vec();
    Uuid => Uuid, |v| v;
    &TenantId => Text, |v| v.as_str().to_owned();
    DeviceId => Uuid, |v| v.0;
    OperationId => Uuid, |v| v.0;
    SessionId => Uuid, |v| v.0;
    MatchId => Uuid, |v| v.0;
    UserId => Uuid, |v| v.0;
    TokenId => Uuid, |v| v.0;
    SetupKeyId => Uuid, |v| v.0;
    CertificateId => Uuid, |v| v.0;
    FileId => Uuid, |v| v.0;
    TransferId => Uuid, |v| v.0;
}

/// One row, read by position.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Reads the columns from the first on, in the order of the SELECT list.
    pub(crate) fn columns(&self) -> Columns<'_> {
        self.columns_from(0)
    }

    /// The same, without the first ones.
    pub(crate) fn columns_from(&self, first: usize) -> Columns<'_> {
        Columns {
            row: self,
            next: first,
        }
    }

    fn at<T>(&self, n: usize) -> Result<T>
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Sqlite>
            + for<'r> sqlx::Decode<'r, sqlx::Postgres>
            + sqlx::Type<sqlx::Postgres>,
    {
        Ok(match self {
            Row::Sqlite(row) => row.try_get_unchecked(n)?,
            Row::Postgres(row) => row.try_get(n)?,
        })
    }
}

/// The columns of a row that were not read yet.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl Columns<'_> {
    /// The next column.
    pub(crate) fn take<T: Column>(&mut self) -> Result<T> {
        self.next += 1;
        T::read(self.row, self.next - 1)
    }
}

/// A type that a column can be read as.
pub(crate) trait Column: Sized {
    fn read(row: &Row, n: usize) -> Result<Self>;
}

macro_rules! columns {
    ($($to:ty as $raw:ty, |$v:ident| $map:expr;)*) => {$(
        impl Column for $to {
            fn read(row: &Row, n: usize) -> Result<Self> { let $v: $raw = row.at(n)?; $map }
        }
        impl Column for Option<$to> {
            fn read(row: &Row, n: usize) -> Result<Self> {
                let value: Option<$raw> = row.at(n)?;
                value.map(|$v| $map).transpose()
            }
        }
    )*};
}
columns! {
    i64 as i64, |v| Ok(v);
    u64 as i64, |v| u64::try_from(v).map_err(Error::damaged);
    u32 as i64, |v| u32::try_from(v).map_err(Error::damaged);
    bool as i64, |v| Ok(v != 0);
    Timestamp as i64, |v| Ok(Timestamp(v));
    String as String, |v| Ok(v);
    Vec<u8> as Vec<u8>, |v| Ok(v);
    [u8; 32] as Vec<u8>, |v| v.try_into().map_err(|_| Error::damaged("a hash of another length"));
    Uuid as Uuid, |v| Ok(v);
    TenantId as String, |v| v.parse().map_err(Error::damaged);
    DeviceId as Uuid, |v| Ok(DeviceId(v));
    OperationId as Uuid, |v| Ok(OperationId(v));
    SessionId as Uuid, |v| Ok(SessionId(v));
    MatchId as Uuid, |v| Ok(MatchId(v));
    UserId as Uuid, |v| Ok(UserId(v));
    TokenId as Uuid, |v| Ok(TokenId(v));
    SetupKeyId as Uuid, |v| Ok(SetupKeyId(v));
    CertificateId as Uuid, |v| Ok(CertificateId(v));
    FileId as Uuid, |v| Ok(FileId(v));
    TransferId as Uuid, |v| Ok(TransferId(v));
}

macro_rules! run {
    ($this:expr, $sql:expr, $c:ident, $q:ident => $sqlite:expr, $postgres:expr) => {{
        let keep = $sql.keep;
        match $this {
            Self::Sqlite($c) => {
                let (text, args) = $sql.sqlite()?;
                let $q = sqlx::query_with::<sqlx::Sqlite, _>(text, args).persistent(keep);
                $sqlite
            }
            Self::Postgres($c) => {
                let (text, args) = $sql.postgres()?;
                let $q = sqlx::query_with::<sqlx::Postgres, _>(text, args).persistent(keep);
                $postgres
            }
        }
    }};
}

/// One connection, used by the writers.
pub(crate) enum Conn {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

impl Conn {
    /// Runs a statement; the number of rows it touched.
    pub(crate) async fn execute(&mut self, sql: Sql) -> Result<u64> {
        Ok(run!(self, sql, c, q =>
            q.execute(&mut **c).await?.rows_affected(),
            q.execute(&mut **c).await?.rows_affected()))
    }

    /// All rows.
    pub(crate) async fn all(&mut self, sql: Sql) -> Result<Vec<Row>> {
        Ok(run!(self, sql, c, q =>
            q.fetch_all(&mut **c).await?.into_iter().map(Row::Sqlite).collect(),
            q.fetch_all(&mut **c).await?.into_iter().map(Row::Postgres).collect()))
    }

    /// The first row, if there is one.
    pub(crate) async fn optional(&mut self, sql: Sql) -> Result<Option<Row>> {
        Ok(run!(self, sql, c, q =>
            q.fetch_optional(&mut **c).await?.map(Row::Sqlite),
            q.fetch_optional(&mut **c).await?.map(Row::Postgres)))
    }
}
