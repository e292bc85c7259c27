//! A cookie that brings a client back to the server it had.
//!
//! Its value is a hash of the server's URL (or the child service's name), so that it says nothing about the inside, needs
//! no memory here, and means the same to every edge. A value that fits no server is no error: the client gets another.

use std::fmt::Write as _;

use super::rendezvous;

/// What goes into a `Set-Cookie`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    pub(crate) name: Box<str>,
    pub(crate) secure: bool,
    pub(crate) http_only: bool,
    /// `none`, `lax` or `strict`.
    pub(crate) same_site: Option<Box<str>>,
    /// Seconds; 0: as long as the browser runs; negative: it is gone at once.
    pub(crate) max_age: i64,
    pub(crate) path: Option<Box<str>>,
    pub(crate) domain: Option<Box<str>>,
}

impl Cookie {
    /// What the client's `Cookie` header says under this name.
    pub(crate) fn value_in(&self, header: &[u8]) -> Option<u64> {
        let pairs = header.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let mut values = pairs.filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            (&pair[..at] == self.name.as_bytes()).then(|| &pair[at + 1..])
        });
        let value = values.next()?.trim_ascii();
        let digits = std::str::from_utf8(value).ok().filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// The `Set-Cookie` line's value.
    pub(crate) fn set(&self, value: u64) -> String {
        let mut line = format!(
            "{}={value:016x}; Path={}",
            self.name,
            self.path.as_deref().unwrap_or("/")
        );
        // Writing to a string cannot fail.
        if let Some(domain) = &self.domain {
            let _ = write!(line, "; Domain={domain}");
        }
        if self.max_age != 0 {
            let _ = write!(line, "; Max-Age={}", self.max_age.max(0));
        }
        if self.http_only {
            line.push_str("; HttpOnly");
        }
        if self.secure {
            line.push_str("; Secure");
        }
        match self.same_site.as_deref() {
            Some("none") => line.push_str("; SameSite=None"),
            Some("lax") => line.push_str("; SameSite=Lax"),
            Some("strict") => line.push_str("; SameSite=Strict"),
            _ => {}
        }
        line
    }
}

/// What stands for a server in a cookie.
pub(super) fn value_of(name: u64) -> u64 {
    rendezvous::mix(name)
}

/// What a cookie is called whose mapping does not say: the same for one service everywhere.
pub(crate) fn default_name(service: &str) -> Box<str> {
    let hash = rendezvous::mix(rendezvous::name(service.as_bytes()));
    format!("_{:05x}", hash & 0xf_ffff).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie() -> Cookie {
        Cookie {
            name: "srv".into(),
            secure: false,
            http_only: false,
            same_site: None,
            max_age: 0,
            path: None,
            domain: None,
        }
    }

    #[test]
    fn a_value_is_found_by_its_name_alone() {
        for (header, found) in [
            ("srv=00000000000000ff", Some(255)),
            ("a=1; srv=00000000000000ff; b=2", Some(255)),
            ("xsrv=00000000000000ff", None),
            ("srv=ff", None),
            ("srv=00000000000000fg", None),
            ("srv", None),
            ("", None),
        ] {
            assert_eq!(cookie().value_in(header.as_bytes()), found, "{header}");
        }
    }

    #[test]
    fn attributes_are_written_where_they_are_set() {
        assert_eq!(cookie().set(255), "srv=00000000000000ff; Path=/");
        let full = Cookie {
            secure: true,
            http_only: true,
            same_site: Some("none".into()),
            max_age: 60,
            path: Some("/v1".into()),
            domain: Some("example.org".into()),
            ..cookie()
        };
        assert_eq!(
            full.set(1),
            "srv=0000000000000001; Path=/v1; Domain=example.org; Max-Age=60; HttpOnly; Secure; SameSite=None"
        );
        assert_eq!(full.value_in(full.set(77).as_bytes()), Some(77));
    }
}
