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

    fn named(name: &str) -> Option<Self> {
        // Most of a request's headers are told apart by their lengths.
        Self::ALL.into_iter().find(|header| header.name() == name)
    }

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

    /// The same from all that a request has, with their names in lower case; `text_of` is asked for what is on the list only.
    pub fn among<V>(all: impl Iterator<Item = (&'a str, V)>, text_of: impl Fn(V) -> Option<&'a str>) -> Self {
        let (mut headers, mut seen) = (Self::default(), [false; Header::ALL.len()]);
        for (name, value) in all {
            if let Some(header) = Header::named(name)
                && !std::mem::replace(&mut seen[header as usize], true)
            {
                headers.0[header as usize] = text_of(value);
            }
        }
        headers
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
        let twice = Header::ALL
            .iter()
            .flat_map(|header| [(header.name(), Some(header.name())), (header.name(), None)]);
        assert_eq!(
            Headers::among(twice.chain([("cookie", Some("c"))]), |value| value),
            headers
        );
        let not_text = [("user-agent", None), ("user-agent", Some("later"))];
        assert_eq!(Headers::among(not_text.into_iter(), |value| value), Headers::default());
        for (index, header) in Header::ALL.into_iter().enumerate() {
            assert_eq!(header as usize, index);
            assert_eq!(headers.get(header), Some(header.name()));
            for secret in ["authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"] {
                assert_ne!(header.name(), secret);
            }
        }
    }
}
