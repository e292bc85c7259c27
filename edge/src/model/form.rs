//! The field `model` of a `multipart/form-data` body, as audio transcription has it.
//!
//! Read strictly: what is not well-formed names no model, and so passes no rule and no list that asks for one. Values are
//! looked over for their end alone.

use std::ops::Range;

use memchr::memmem;

use super::ModelError;

/// A form of a client has ten fields.
const PARTS_MAX: usize = 1000;

/// A model's name is a word; a file under this name is none.
const NAME_BYTES_MAX: usize = 1024;

/// Where the name stands in the body.
///
/// # Errors
/// Where two fields are called so.
pub(super) fn model(content_type: &str, body: &[u8]) -> Result<Option<Range<usize>>, ModelError> {
    let Some(boundary) = boundary(content_type) else {
        return Ok(None);
    };
    let delimiter = format!("\r\n--{boundary}");
    let mut found = None;
    // The first delimiter stands at the very beginning, without a line before it.
    let Some(mut at) = body
        .starts_with(&delimiter.as_bytes()[2..])
        .then(|| delimiter.len() - 2)
    else {
        return Ok(None);
    };
    for _ in 0..PARTS_MAX {
        let rest = &body[at..];
        if rest.starts_with(b"--") {
            return Ok(found);
        }
        let Some(length) = rest
            .strip_prefix(b"\r\n")
            .and_then(|part| memmem::find(part, delimiter.as_bytes()))
        else {
            return Ok(None);
        };
        let part = at + 2..at + 2 + length;
        match named_model(&body[part.clone()]) {
            Named::Model(value) if found.is_none() => found = Some(part.start + value.start..part.start + value.end),
            Named::Model(_) => return Err(ModelError::Twice),
            Named::Other => {}
            Named::Unclear => return Ok(None),
        }
        at = part.end + delimiter.len();
    }
    Ok(None)
}

enum Named {
    Model(Range<usize>),
    Other,
    /// A reader could take it for `model`.
    Unclear,
}

fn named_model(part: &[u8]) -> Named {
    let head_bytes = match memmem::find(part, b"\r\n\r\n") {
        Some(head_bytes) => head_bytes,
        None => return Named::Unclear,
    };
    let Ok(head) = std::str::from_utf8(&part[..head_bytes]) else {
        return Named::Unclear;
    };
    let mut name = None;
    for line in head.split("\r\n") {
        let Some((field, value)) = line.split_once(':') else {
            return Named::Unclear;
        };
        if line.starts_with([' ', '\t']) || field.ends_with([' ', '\t']) {
            return Named::Unclear;
        }
        if field.eq_ignore_ascii_case("content-disposition") && name.replace(value).is_some() {
            return Named::Unclear;
        }
    }
    let Some(disposition) = name else { return Named::Unclear };
    let value = head_bytes + 4..part.len();
    match parameter(disposition, "name") {
        Some("model") if value.len() <= NAME_BYTES_MAX && parameter(disposition, "filename").is_none() => {
            Named::Model(value)
        }
        Some("model") => Named::Unclear,
        // An extended or escaped name may be `model` to somebody.
        Some(other) if !other.contains(['\\', '%']) && parameter(disposition, "name*").is_none() => Named::Other,
        _ => Named::Unclear,
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    const KIND: &str = "multipart/form-data";
    let kind = content_type.get(..KIND.len())?;
    let boundary = parameter(content_type, "boundary").filter(|_| kind.eq_ignore_ascii_case(KIND))?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    (!boundary.is_empty() && boundary.len() <= 200 && boundary.bytes().all(is_plain)).then_some(boundary)
}

/// The value of `; name=value` or `; name="value"`, where it stands once.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = header.split(';').skip(1).filter_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        key.trim().eq_ignore_ascii_case(name).then(|| bare.unwrap_or(value))
    });
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=XX";

    fn part(disposition: &str, value: &str) -> String {
        format!("--XX\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    fn found(body: &str) -> Result<Option<&str>, ModelError> {
        Ok(model(KIND, body.as_bytes())?.map(|at| &body[at]))
    }

    #[test]
    fn a_form_s_field_is_found_wherever_it_stands() {
        let file = part("name=\"file\"; filename=\"a;b.wav\"", "RIFF\r\n--X\r\n\r\n");
        for name in ["name=\"model\"", "name=model", "NAME=\"model\""] {
            let field = part(name, "whisper-1");
            for body in [format!("{file}{field}--XX--\r\n"), format!("{field}{file}--XX--")] {
                assert_eq!(found(&body), Ok(Some("whisper-1")), "{body}");
            }
        }
        assert_eq!(found(&format!("{file}--XX--")), Ok(None));
    }

    #[test]
    fn two_names_are_one_too_many_and_what_is_unclear_is_none() {
        let field = part("name=\"model\"", "small");
        assert_eq!(found(&format!("{field}{field}--XX--")), Err(ModelError::Twice));
        for body in [
            field.clone(),
            format!("{field}{}--XX--", part("name=\"mod%65l\"", "large")),
            format!("{field}{}--XX--", part("name=\"x\"; name*=UTF-8''model", "large")),
            format!("{field}{}--XX--", part("name=\"x\"; name=\"model\"", "large")),
            format!("{field}--XX\r\nContent-Disposition : form-data; name=\"model\"\r\n\r\nlarge\r\n--XX--"),
            format!("{field}--XX\nContent-Disposition: form-data; name=\"model\"\n\nlarge\n--XX--"),
            format!("preamble\r\n{field}--XX--"),
            part("name=\"model\"; filename=\"m\"", "small") + "--XX--",
        ] {
            assert_eq!(found(&body), Ok(None), "{body}");
        }
    }

    #[test]
    fn only_forms_are_read() {
        let body = part("name=\"model\"", "small") + "--XX--";
        for kind in [
            "application/json",
            "multipart/mixed; boundary=XX",
            "multipart/form-data",
            "",
        ] {
            assert_eq!(model(kind, body.as_bytes()), Ok(None), "{kind}");
        }
    }
}
