//! An oracle: what RFC 9112 lets a sender write, with nothing that a reader would have to be lenient about. It shares no
//! code with the edge.

/// One message taken off the front of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) bytes: usize,
    pub(crate) start: Vec<u8>,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

impl Message {
    pub(crate) fn all(&self, name: &str) -> Vec<&[u8]> {
        let fields = self.fields.iter().filter(|(field, _)| field == name);
        fields.map(|(_, value)| value.as_slice()).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// More must come.
    Unfinished,
    NotStrict(&'static str),
}

use Fault::{NotStrict, Unfinished};

/// A request as an HTTP/1.1 client may send it, body included.
pub(crate) fn request(bytes: &[u8]) -> Result<Message, Fault> {
    let (start, fields, head) = head(bytes)?;
    let parts: Vec<&[u8]> = start.split(|&byte| byte == b' ').collect();
    let [method, target, b"HTTP/1.1"] = parts[..] else {
        return Err(NotStrict("request line"));
    };
    let is_target = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) || target.is_empty() || !is_target {
        return Err(NotStrict("method or target"));
    }
    let message = Message {
        bytes: head,
        start,
        fields,
    };
    let hosts = message.all("host");
    if hosts.len() != 1 || hosts[0].is_empty() {
        return Err(NotStrict("host"));
    }
    for hop in ["keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer"] {
        if !message.all(hop).is_empty() {
            return Err(NotStrict("a hop-by-hop header"));
        }
    }
    let body = match framing(&message)? {
        Framing::None => 0,
        Framing::Length(length) => length,
        Framing::Chunked => chunks(&bytes[head..])?,
    };
    whole(message, body, bytes)
}

/// An answer as a server may send it, body included; it must not end with its connection.
pub(crate) fn answer(bytes: &[u8], to_head: bool) -> Result<Message, Fault> {
    let (start, fields, head) = head(bytes)?;
    let line = start.strip_prefix(b"HTTP/1.1 ").ok_or(NotStrict("status line"))?;
    let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let status: u16 = digits
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or(NotStrict("status"))?;
    if line.get(3) != Some(&b' ') || line.iter().any(|&byte| byte < b' ' || byte == 0x7f) {
        return Err(NotStrict("reason"));
    }
    let message = Message {
        bytes: head,
        start,
        fields,
    };
    let framing = framing(&message)?;
    let has_none = status < 200 || status == 204;
    if has_none && !matches!(framing, Framing::None) {
        return Err(NotStrict("a length where no body is"));
    }
    let body = match framing {
        _ if has_none || status == 304 || to_head => 0,
        Framing::None => return Err(NotStrict("no length")),
        Framing::Length(length) => length,
        Framing::Chunked => chunks(&bytes[head..])?,
    };
    whole(message, body, bytes)
}

fn whole(message: Message, body: usize, bytes: &[u8]) -> Result<Message, Fault> {
    let end = message.bytes + body;
    if bytes.len() < end {
        Err(Unfinished)
    } else {
        Ok(Message { bytes: end, ..message })
    }
}

type Head = (Vec<u8>, Vec<(String, Vec<u8>)>, usize);

fn head(bytes: &[u8]) -> Result<Head, Fault> {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .ok_or(Unfinished)?;
    let text = &bytes[..end];
    let lines = lines(text)?;
    let mut fields = Vec::new();
    for line in &lines[1..] {
        fields.push(field(line)?);
    }
    Ok((lines[0].to_vec(), fields, end + 4))
}

/// Divided at CRLF; CR and LF stand nowhere else.
fn lines(text: &[u8]) -> Result<Vec<&[u8]>, Fault> {
    let mut lines = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let is_last = std::ptr::eq(line.as_ptr_range().end, text.as_ptr_range().end);
        let line = if is_last {
            line
        } else {
            line.strip_suffix(b"\r").ok_or(NotStrict("a bare line feed"))?
        };
        if line.contains(&b'\r') {
            return Err(NotStrict("a bare carriage return"));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn field(line: &[u8]) -> Result<(String, Vec<u8>), Fault> {
    let colon = line
        .iter()
        .position(|&byte| byte == b':')
        .ok_or(NotStrict("no colon"))?;
    let (name, value) = line.split_at(colon);
    let value = value[1..]
        .strip_prefix(b" ")
        .ok_or(NotStrict("no blank after the colon"))?;
    if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
        return Err(NotStrict("a name"));
    }
    let is_text = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    let has_edges = matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']);
    if has_edges || !value.iter().all(is_text) {
        return Err(NotStrict("a value"));
    }
    Ok((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()))
}

enum Framing {
    None,
    Length(usize),
    Chunked,
}

fn framing(message: &Message) -> Result<Framing, Fault> {
    let (lengths, codings) = (message.all("content-length"), message.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::None),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            let length = std::str::from_utf8(length).ok().and_then(|text| text.parse().ok());
            length.map(Framing::Length).ok_or(NotStrict("a length"))
        }
        ([], [b"chunked"]) => Ok(Framing::Chunked),
        _ => Err(NotStrict("framing")),
    }
}

/// How many bytes a chunked body takes; without trailers.
fn chunks(bytes: &[u8]) -> Result<usize, Fault> {
    let mut at = 0;
    loop {
        let line = bytes[at..]
            .windows(2)
            .position(|window| window == b"\r\n")
            .ok_or(Unfinished)?;
        let text = std::str::from_utf8(&bytes[at..at + line]).map_err(|_| NotStrict("a chunk's size"))?;
        let digits = text.split(';').next().unwrap_or_default();
        let is_size = (1..16).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(digits, 16)
            .ok()
            .filter(|_| is_size)
            .ok_or(NotStrict("a chunk's size"))?;
        at += line + 2;
        match bytes.get(at + size..at + size + 2) {
            None => return Err(Unfinished),
            Some(b"\r\n") => at += size + 2,
            Some(_) => return Err(NotStrict("a chunk's end, or trailers")),
        }
        if size == 0 {
            return Ok(at);
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[test]
fn the_oracle_knows_what_is_strict() {
    let good = b"POST /x?y HTTP/1.1\r\nHost: a\r\nX: \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nrest";
    assert_eq!(request(good).map(|message| message.bytes), Ok(good.len() - 4));
    for bad in [
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n",
    ] {
        assert!(matches!(request(bad.as_bytes()), Err(NotStrict(_))), "{bad:?}");
    }
    assert_eq!(
        request(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx"),
        Err(Unfinished)
    );
    for (text, fault) in [
        (
            "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
            NotStrict("a length where no body is"),
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", NotStrict("no length")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", Unfinished),
    ] {
        assert_eq!(answer(text.as_bytes(), false), Err(fault), "{text}");
    }
}
