//! Who may use the admin endpoints: whoever brings the token. Without one configured nobody may. The door alone asks here.

use axum::http::header::{AUTHORIZATION, HeaderMap};

use crate::config_file::AdminAuth;
use crate::error::ApiError;

const SCHEME: &[u8] = b"Bearer ";

/// Whether something was brought that could be a token, right or wrong.
pub(super) fn is_brought(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION)
}

/// Whether a request with these headers may go on.
///
/// # Errors
/// [`ApiError::AdminClosed`] where no token is configured, [`ApiError::AdminToken`] where it does not come with it.
pub(super) fn admit(auth: &AdminAuth, headers: &HeaderMap) -> Result<(), ApiError> {
    match auth {
        AdminAuth::Open => return Ok(()),
        AdminAuth::Closed => return Err(ApiError::AdminClosed),
        AdminAuth::Bearer(_) => {}
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // Two of them: whoever is in front of us may have looked at the other one.
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(ApiError::AdminToken);
    };
    let (scheme, token) = value
        .as_bytes()
        .split_at_checked(SCHEME.len())
        .ok_or(ApiError::AdminToken)?;
    if scheme.eq_ignore_ascii_case(SCHEME) && auth.accepts(token.trim_ascii()) {
        Ok(())
    } else {
        Err(ApiError::AdminToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use keymap::KeyHash;

    #[test]
    fn the_token_and_nothing_else_is_admitted() {
        let auth = AdminAuth::Bearer(KeyHash::of(b"token"));
        for (values, admitted) in [
            (&["Bearer token"][..], true),
            (&["bearer  token "], true),
            (&[], false),
            (&["token"], false),
            (&["Bearer"], false),
            (&["Bearer "], false),
            (&["Bearer tokens"], false),
            (&["Bearer toke"], false),
            (&["Basic token"], false),
            (&["Bearer token", "Bearer token"], false),
        ] {
            let headers: HeaderMap = values
                .iter()
                .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)))
                .fold(HeaderMap::new(), |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                });
            assert_eq!(admit(&auth, &headers).is_ok(), admitted, "{values:?}");
            assert!(admit(&AdminAuth::Open, &headers).is_ok());
            assert!(matches!(
                admit(&AdminAuth::Closed, &headers),
                Err(ApiError::AdminClosed)
            ));
        }
    }
}
