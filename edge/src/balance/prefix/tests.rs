use affinity::{Capacity, SESSION_HEADERS};
use http::HeaderValue;

use super::*;

#[test]
fn a_session_is_known_by_its_header_and_is_its_callers_own() {
    let index = Index::new(Capacity::default(), Instant::now());
    let server = index.enrol();
    let volatile = VolatileLines::default();
    for name in SESSION_HEADERS {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static("chat-7"))]);
        let of = |caller| Conversation::of(&index, (name, caller), &headers, b"{}", &volatile);
        of("alice").note(&index, &server);
        assert!(of("alice").known.of(&server).session, "{name}");
        assert!(!of("bob").known.of(&server).session, "{name}");
    }
}
