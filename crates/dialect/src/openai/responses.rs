//! `/v1/responses`, inbound and stateless: nothing is stored here, so nothing stored can be referred to.
//!
//! ```text
//!  body ──parse──▶ (ChatRequest, Echo)      ChatResponse + Echo ──render──▶ response object
//!                                           Event* + Echo ──Encoder──▶ response.created … response.completed
//! ```

mod echo;
mod input;
mod item;
mod object;
mod request;
mod stream;

pub use echo::Echo;
pub use object::render;
pub use request::parse;
pub use stream::Encoder;
