//! The committed description of the API is the one that is served.

#![allow(
    clippy::disallowed_methods,
    reason = "a test is told by its environment to rewrite the file"
)]

use std::{env, fs, path::Path};

#[test]
fn openapi_json_is_the_description_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let now = gateway::openapi::text();
    if env::var("UPDATE_SCHEMAS").is_ok_and(|value| value == "1") {
        fs::write(&path, &now).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "schemas/openapi.json is out of date: UPDATE_SCHEMAS=1 cargo test -p gateway openapi"
    );
}
