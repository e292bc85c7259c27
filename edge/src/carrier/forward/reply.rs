//! The head of a server's answer: read, checked, and rewritten for the client in one pass.

use std::future::poll_fn;
use std::io::Write as _;
use std::task::Poll;
use std::time::Duration;

use pingora_core::protocols::http::date::get_cached_date;

use super::chunks::Chunks;
use super::client::{Client, Terms};
use super::connection::Connection;
use super::hops::{Nominated, is_hop_by_hop};
use super::lost::Lost;
use super::scratch::{self, Filled};
use crate::exchange::Exchange;
use crate::limits::standing::Standing;
use crate::middleware::HeaderChanges;
use crate::rewrite::{HSTS, UNBUFFERED, is_event_stream};

/// A head is a few hundred bytes; whoever sends more is not a server we know.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 100;

/// Interim answers before the final one: a server that says `102` each second of a long prefill stays below.
const INTERIM_MAX: u16 = 1_000;

/// What the edge adds to a head, as a rule: a longer request id than ours makes it grow once more.
const ADDED_BYTES_MAX: usize = 256;

/// A server's final answer (or 101), its body about to be read.
pub(super) struct Reply {
    pub(super) status: u16,
    /// For the client, complete.
    pub(super) head: Vec<u8>,
    pub(super) framing: Framing,
    pub(super) form: Form,
    /// What of the body came with the head.
    pub(super) first: Piece,
    /// The server goes on with this connection once the body has ended.
    pub(super) keeps_connection: bool,
    /// The body's end is the end of the client's connection.
    pub(super) ends_client: bool,
}

/// How the server says where its body ends.
#[derive(Debug)]
pub(super) enum Framing {
    /// There is none, whatever the headers say.
    Empty,
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// What of the body's bytes the client gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    AsTheyCame,
    /// Put into chunks: the server ends its body by closing, which an HTTP/1.1 client could not tell from a cut.
    Chunked,
    /// Taken out of its chunks, for an HTTP/1.0 client.
    Payload,
    /// Something is taken out of an event stream, so it is framed anew: into chunks, or (HTTP/1.0) into none.
    Shortened {
        chunked: bool,
    },
}

/// What one read brought, from some place on.
pub(super) struct Piece {
    read: Read,
    from: usize,
}

enum Read {
    Once(Filled),
    Gathered(Vec<u8>),
}

impl Piece {
    pub(super) fn bytes(&self) -> &[u8] {
        let all = match &self.read {
            Read::Once(filled) => filled.bytes(),
            Read::Gathered(bytes) => bytes,
        };
        &all[self.from..]
    }
}

/// A refusal's body is a sentence. What is longer, or takes longer, is not waited for.
const SMALL_BODY_BYTES: u64 = 4096;
const SMALL_BODY_TIME: Duration = Duration::from_secs(1);

impl Reply {
    /// With all of its body, where that is small: a server's reason to refuse often comes after its head.
    pub(super) async fn with_small_body(mut self, connection: &mut Connection) -> Self {
        let Framing::Length(length) = self.framing else {
            return self;
        };
        let mut bytes = self.first.bytes().to_vec();
        let missing = |bytes: &[u8]| (bytes.len() as u64) < length;
        if length > SMALL_BODY_BYTES || !missing(&bytes) {
            return self;
        }
        let gather = async {
            while missing(&bytes) {
                match poll_fn(|cx| scratch::poll_read(connection, cx)).await {
                    Ok(filled) if !filled.bytes().is_empty() => bytes.extend_from_slice(filled.bytes()),
                    _ => return,
                }
            }
        };
        let _ = tokio::time::timeout(SMALL_BODY_TIME, gather).await;
        self.first = Piece {
            read: Read::Gathered(bytes),
            from: 0,
        };
        self
    }
}

pub(super) enum ReplyError {
    ClientGone,
    /// Not one byte came: the server had closed the connection.
    Nothing,
    Malformed,
    Timeout,
    /// Its health check failed while it was waited for.
    Lost,
}

pub(super) struct Reader {
    timeout: Option<Duration>,
    pub(super) lost: Option<Lost>,
    /// The client asked for a WebSocket, so the server may switch.
    is_upgrade: bool,
    /// So many heads were interim.
    interim: u16,
}

enum Parsed {
    Incomplete,
    /// 100 to 199, but for 101: `bytes` of it, and `head` for the client.
    Interim {
        status: u16,
        bytes: usize,
        head: Vec<u8>,
    },
    Final(FinalHead),
}

/// A [`Reply`] but for the body.
struct FinalHead {
    status: u16,
    bytes: usize,
    head: Vec<u8>,
    framing: Framing,
    form: Form,
    keeps_connection: bool,
    ends_client: bool,
}

impl FinalHead {
    /// `begin`: where in what was read this head begins.
    fn with_body(self, read: Read, begin: usize) -> Reply {
        Reply {
            status: self.status,
            head: self.head,
            framing: self.framing,
            form: self.form,
            first: Piece {
                read,
                from: begin + self.bytes,
            },
            keeps_connection: self.keeps_connection,
            ends_client: self.ends_client,
        }
    }
}

/// What a read came to: how many of its bytes were interim heads, and the final one behind them, where it is whole.
struct Progress {
    passed: usize,
    last: Option<FinalHead>,
}

impl Reader {
    pub(super) fn new(timeout: Option<Duration>, is_upgrade: bool, lost: Option<Lost>) -> Self {
        Self {
            timeout,
            lost,
            is_upgrade,
            interim: 0,
        }
    }

    /// Waits for the final head; interim ones are passed on.
    pub(super) async fn read(
        &mut self,
        connection: &mut Connection,
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Reply, ReplyError> {
        let first = self.read_or_gone(connection, client).await?;
        self.read_from(first, connection, client, exchange).await
    }

    /// The same, where the head's first bytes have come.
    pub(super) async fn read_from(
        &mut self,
        first: Filled,
        connection: &mut Connection,
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Reply, ReplyError> {
        if first.bytes().is_empty() {
            return Err(ReplyError::Nothing);
        }
        // Nearly always the head comes in one piece, and is parsed where it lies.
        let Progress { passed, last } = self.interim_or_final(first.bytes(), client, exchange).await?;
        if let Some(last) = last {
            return Ok(last.with_body(Read::Once(first), passed));
        }
        let gathered = first.bytes()[passed..].to_vec();
        drop(first);
        Box::pin(self.gather(gathered, connection, client, exchange)).await
    }

    async fn gather(
        &mut self,
        mut gathered: Vec<u8>,
        connection: &mut Connection,
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Reply, ReplyError> {
        while gathered.len() <= HEAD_BYTES_MAX {
            let filled = self.read_or_gone(connection, client).await?;
            if filled.bytes().is_empty() {
                return Err(ReplyError::Malformed);
            }
            gathered.extend_from_slice(filled.bytes());
            let Progress { passed, last } = self.interim_or_final(&gathered, client, exchange).await?;
            if let Some(last) = last {
                return Ok(last.with_body(Read::Gathered(gathered), passed));
            }
            gathered.drain(..passed);
        }
        Err(ReplyError::Malformed)
    }

    async fn read_or_gone(&mut self, connection: &mut Connection, client: &mut Client) -> Result<Filled, ReplyError> {
        let lost = &mut self.lost;
        let read = poll_fn(|cx| {
            if let Poll::Ready(read) = scratch::poll_read(connection, cx) {
                return Poll::Ready(read.map_err(|_| ReplyError::Nothing));
            }
            if Lost::poll(lost, cx).is_ready() {
                return Poll::Ready(Err(ReplyError::Lost));
            }
            client.poll_gone(cx).map(|()| Err(ReplyError::ClientGone))
        });
        match self.timeout {
            None => read.await,
            Some(limit) => tokio::time::timeout(limit, read)
                .await
                .unwrap_or(Err(ReplyError::Timeout)),
        }
    }

    /// Passes interim heads on.
    async fn interim_or_final(
        &mut self,
        bytes: &[u8],
        client: &mut Client,
        exchange: &Exchange,
    ) -> Result<Progress, ReplyError> {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            match parse(rest, client.terms, exchange, self.is_upgrade).ok_or(ReplyError::Malformed)? {
                Parsed::Incomplete => return Ok(Progress { passed, last: None }),
                Parsed::Interim { .. } if self.interim == INTERIM_MAX => return Err(ReplyError::Malformed),
                Parsed::Interim { status, bytes, head } => {
                    // The client was told to go on already, and HTTP/1.0 knows no interim answers.
                    if status != 100 && !client.terms.is_http_10 {
                        client.send(&head).await.map_err(|_| ReplyError::ClientGone)?;
                    }
                    passed += bytes;
                    self.interim += 1;
                }
                Parsed::Final(last) => {
                    return Ok(Progress {
                        passed,
                        last: Some(last),
                    });
                }
            }
        }
    }
}

/// `None`: it is not HTTP/1, or says two things about where it ends.
fn parse(bytes: &[u8], terms: Terms, exchange: &Exchange, is_upgrade: bool) -> Option<Parsed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) if head_bytes <= HEAD_BYTES_MAX => head_bytes,
        Ok(httparse::Status::Partial) => return Some(Parsed::Incomplete),
        Ok(_) | Err(_) => return None,
    };
    // Three digits are not yet a status.
    let status = response.code.filter(|status| *status >= 100)?;
    let is_switch = status == 101;
    if (100..200).contains(&status) && !is_switch {
        return Some(Parsed::Interim {
            status,
            bytes: head_bytes,
            head: interim_head(status, &response),
        });
    }
    if is_switch && !(is_upgrade && switches_to_websocket(response.headers)) {
        return None;
    }
    let mut stated = Stated::of(response.headers, response.version? == 1)?;
    if is_switch || status == 204 {
        // These have no body and may not say otherwise (RFC 9110, 8.6): a client that believed it would wait for one.
        stated.length = None;
    }
    let framing = if terms.is_head || is_switch || matches!(status, 204 | 304) {
        Framing::Empty
    } else {
        stated.framing()
    };
    let shortens = exchange.hides_usage() && is_plain_stream(response.headers);
    let form = form_for(&framing, terms, shortens);
    // What has come of the body is sent with it.
    let mut head = Vec::with_capacity(bytes.len() + ADDED_BYTES_MAX);
    let _ = write!(head, "HTTP/1.1 {status} {}\r\n", response.reason.unwrap_or_default());
    let standing = exchange.standing();
    copy_headers(
        response.headers,
        (
            exchange.response_changes(),
            standing.is_some(),
            exchange.hsts().is_some(),
        ),
        &mut head,
    );
    if let Some(value) = exchange.hsts() {
        line(&mut head, HSTS, value.as_bytes());
    }
    line(&mut head, "x-request-id", exchange.request_id());
    if let Some(standing) = standing {
        standing.each(|name, value| line(&mut head, name, value));
    }
    if let Some((name, value)) = exchange.response_added() {
        line(&mut head, name.as_str(), value.as_bytes());
    }
    exchange.answer_lines(|name, value| line(&mut head, name, value));
    // An HTTP/1.0 client learns of the end of an unannounced body by the connection's.
    let ends_client = matches!(form, Form::Payload | Form::Shortened { chunked: false })
        || (terms.is_http_10 && matches!(framing, Framing::UntilClose));
    if is_switch {
        switch_lines(response.headers, &mut head);
    } else {
        let keep_alive = terms.keep_alive && !ends_client;
        head.extend_from_slice(Terms { keep_alive, ..terms }.connection_line());
    }
    framing_line(&framing, form, &stated, &mut head);
    head.extend_from_slice(b"\r\n");
    let keeps_connection = stated.keeps_connection && !matches!(framing, Framing::UntilClose);
    Some(Parsed::Final(FinalHead {
        status,
        bytes: head_bytes,
        head,
        framing,
        form,
        keeps_connection,
        ends_client,
    }))
}

/// Without what concerns the connection or a body: an interim answer has none, whatever it says.
fn interim_head(status: u16, response: &httparse::Response<'_, '_>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", response.reason.unwrap_or_default()).into_bytes();
    let nominated = Nominated::of(connection_lines(response.headers));
    for header in response.headers.iter() {
        let name = header.name.as_bytes();
        if !is_hop_by_hop(name) && !nominated.contains(name) {
            line(&mut head, header.name, header.value);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// Whatever else a server switched to, nobody asked for.
fn switches_to_websocket(headers: &[httparse::Header<'_>]) -> bool {
    let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("upgrade");
    let mut protocols = headers.iter().filter(named);
    let only = protocols.next().filter(|_| protocols.next().is_none());
    only.is_some_and(|protocol| protocol.value.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

fn form_for(framing: &Framing, terms: Terms, shortens: bool) -> Form {
    match (framing, terms.is_http_10) {
        (Framing::Empty, _) => Form::AsTheyCame,
        (_, is_http_10) if shortens => Form::Shortened { chunked: !is_http_10 },
        (Framing::UntilClose, false) => Form::Chunked,
        (Framing::Chunked(_), true) => Form::Payload,
        _ => Form::AsTheyCame,
    }
}

/// Everything but what concerns the connection, the framing, and what the edge says itself.
fn copy_headers(
    headers: &[httparse::Header<'_>],
    (changes, has_standing, has_hsts): (&HeaderChanges, bool, bool),
    head: &mut Vec<u8>,
) {
    let mut has_date = false;
    let mut is_stream = false;
    let nominated = Nominated::of(connection_lines(headers));
    for header in headers {
        let name = header.name.as_bytes();
        match name.len() {
            4 => has_date |= name.eq_ignore_ascii_case(b"date"),
            12 if name.eq_ignore_ascii_case(b"content-type") => is_stream = is_event_stream(header.value),
            12 if name.eq_ignore_ascii_case(b"x-request-id") => continue,
            25 if has_hsts && name.eq_ignore_ascii_case(HSTS.as_bytes()) => continue,
            // What the key has left counts, not what the server's own client has.
            _ if has_standing && Standing::owns(name) => continue,
            _ => {}
        }
        if !is_hop_by_hop(name) && !nominated.contains(name) && !changes.owns(name) {
            line(head, header.name, header.value);
        }
    }
    for (name, value) in changes.each() {
        line(head, name.as_str(), value.as_bytes());
    }
    if is_stream && !changes.owns(UNBUFFERED.0.as_bytes()) {
        line(head, UNBUFFERED.0, UNBUFFERED.1.as_bytes());
    }
    if !has_date && !changes.owns(b"date") {
        line(head, "Date", get_cached_date().as_bytes());
    }
}

/// An event stream that can be read.
fn is_plain_stream(headers: &[httparse::Header<'_>]) -> bool {
    let find = |name: &str| headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    let is_stream = find("content-type").is_some_and(|header| is_event_stream(header.value));
    is_stream && find("content-encoding").is_none()
}

fn connection_lines<'a>(headers: &'a [httparse::Header<'_>]) -> impl Iterator<Item = &'a [u8]> {
    let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("connection");
    headers.iter().filter(named).map(|header| header.value)
}

fn switch_lines(headers: &[httparse::Header<'_>], head: &mut Vec<u8>) {
    head.extend_from_slice(b"Connection: Upgrade\r\n");
    for header in headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("upgrade"))
    {
        line(head, "Upgrade", header.value);
    }
}

fn framing_line(framing: &Framing, form: Form, stated: &Stated, head: &mut Vec<u8>) {
    match (framing, form) {
        (_, Form::Shortened { chunked: false }) => {}
        (_, Form::Shortened { chunked: true }) => head.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        (Framing::Length(length), _) => drop(write!(head, "Content-Length: {length}\r\n")),
        (_, Form::Chunked) | (Framing::Chunked(_), Form::AsTheyCame) => {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        // An answer to HEAD, or a 304, tells how long the body would be.
        (Framing::Empty, _) => {
            if let Some(length) = stated.length {
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
        }
        _ => {}
    }
}

/// What the headers say of the body's end and of the connection.
struct Stated {
    length: Option<u64>,
    chunked: bool,
    keeps_connection: bool,
}

impl Stated {
    /// `None` where they contradict one another or name a coding that is not chunked.
    fn of(headers: &[httparse::Header<'_>], is_http_11: bool) -> Option<Self> {
        let mut stated = Self {
            length: None,
            chunked: false,
            keeps_connection: is_http_11,
        };
        for header in headers {
            let name = header.name.as_bytes();
            match name.len() {
                10 if name.eq_ignore_ascii_case(b"connection") => stated.connection(header.value, is_http_11),
                14 if name.eq_ignore_ascii_case(b"content-length") => stated.length(header.value)?,
                17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                    let is_chunked = header.value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                    if stated.chunked || !is_chunked || !is_http_11 {
                        return None;
                    }
                    stated.chunked = true;
                }
                _ => {}
            }
        }
        if stated.chunked && stated.length.take().is_some() {
            // Which of the two the server meant shows only now: its connection is not trusted any further.
            stated.keeps_connection = false;
        }
        Some(stated)
    }

    fn connection(&mut self, value: &[u8], is_http_11: bool) {
        for token in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.keeps_connection = false;
            } else if !is_http_11 && token.eq_ignore_ascii_case(b"keep-alive") {
                self.keeps_connection = true;
            }
        }
    }

    fn length(&mut self, value: &[u8]) -> Option<()> {
        let digits = value.trim_ascii();
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let length: u64 = std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()?;
        if self.length.replace(length).is_some_and(|before| before != length) {
            None
        } else {
            Some(())
        }
    }

    fn framing(&self) -> Framing {
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked(Chunks::default()),
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        }
    }
}

fn line(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}
