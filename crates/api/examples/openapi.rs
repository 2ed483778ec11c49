//! Prints the OpenAPI document; `cargo xtask gen` writes it to `generated/openapi.json`.
#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", api::openapi_json());
}
