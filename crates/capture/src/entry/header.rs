//! The request's headers that are kept. Owns the list: what is not on it cannot be written.

/// None of them is, or holds, a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    ContentType,
    ContentEncoding,
    UserAgent,
    /// What clients send to say which conversation a request belongs to.
    SessionId,
    LitellmSessionId,
    OpenWebUiChatId,
    ConversationId,
}

impl Header {
    pub const ALL: [Self; 7] = [
        Self::ContentType,
        Self::ContentEncoding,
        Self::UserAgent,
        Self::SessionId,
        Self::LitellmSessionId,
        Self::OpenWebUiChatId,
        Self::ConversationId,
    ];

    /// In lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::ContentType => "content-type",
            Self::ContentEncoding => "content-encoding",
            Self::UserAgent => "user-agent",
            Self::SessionId => "x-session-id",
            Self::LitellmSessionId => "x-litellm-session-id",
            Self::OpenWebUiChatId => "x-openwebui-chat-id",
            Self::ConversationId => "x-conversation-id",
        }
    }
}

/// The values of those that a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a>([Option<&'a str>; Header::ALL.len()]);

impl<'a> Headers<'a> {
    /// Takes what is on the list, and the first where there are several; `value_of` looks a name in lower case up.
    pub fn of(value_of: impl Fn(&'static str) -> Option<&'a str>) -> Self {
        Self(Header::ALL.map(|header| value_of(header.name())))
    }

    pub fn get(&self, header: Header) -> Option<&'a str> {
        self.0[header as usize]
    }

    pub fn set(&mut self, header: Header, value: &'a str) {
        self.0[header as usize] = Some(value);
    }

    pub fn iter(&self) -> impl Iterator<Item = (Header, &'a str)> {
        Header::ALL
            .into_iter()
            .zip(self.0)
            .filter_map(|(header, value)| Some((header, value?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_has_its_place_and_none_is_a_credential() {
        let headers = Headers::of(Some);
        for (index, header) in Header::ALL.into_iter().enumerate() {
            assert_eq!(header as usize, index);
            assert_eq!(headers.get(header), Some(header.name()));
            for secret in ["authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"] {
                assert_ne!(header.name(), secret);
            }
        }
    }
}
