//! A page to browse the API: one HTML file and one script of our own over the OpenAPI document,
//! nothing from elsewhere.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

/// The page.
pub async fn page() -> Response {
    with_type(include_str!("docs.html"), "text/html; charset=utf-8")
}

/// Its script.
pub async fn script() -> Response {
    with_type(include_str!("docs.js"), "text/javascript; charset=utf-8")
}

fn with_type(text: &'static str, kind: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
