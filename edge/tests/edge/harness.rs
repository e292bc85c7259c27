//! What every scenario uses: a whole edge, a raw client, a scripted server.

#[path = "harness/http.rs"]
pub(crate) mod http;
#[path = "harness/limited.rs"]
pub(crate) mod limited;
#[path = "harness/origin.rs"]
pub(crate) mod origin;
#[path = "harness/world.rs"]
pub(crate) mod world;
