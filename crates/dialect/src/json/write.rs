//! Spells JSON straight into bytes, field by field.
//!
//! No tree is built on the way, and [`super::Json`] goes in as the text it is. Writing to memory cannot fail; what
//! could (a map with keys that are no strings) is not written here.

use serde::Serialize;

/// `{…}` as bytes.
pub fn object(fill: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object_into(&mut out, fill);
    out
}

/// `{…}` appended to `out`.
pub fn object_into(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    out.push(b'{');
    fill(&mut Object { out, first: true });
    out.push(b'}');
}

/// An object that is being written.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

/// An array that is being written.
pub struct Array<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    /// Ends a chain where a closure may return nothing.
    pub fn end(&mut self) {}

    fn name(&mut self, name: &str) {
        separate(self.out, &mut self.first);
        value(self.out, name);
        self.out.push(b':');
    }

    pub fn field(&mut self, name: &str, it: &(impl Serialize + ?Sized)) -> &mut Self {
        self.name(name);
        value(self.out, it);
        self
    }

    /// Left out where it is `None`.
    pub fn opt(&mut self, name: &str, it: &Option<impl Serialize>) -> &mut Self {
        if let Some(it) = it {
            self.field(name, it);
        }
        self
    }

    pub fn null(&mut self, name: &str) -> &mut Self {
        self.field(name, &())
    }

    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        self.name(name);
        object_into(self.out, fill);
        self
    }

    pub fn array(&mut self, name: &str, fill: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        self.name(name);
        array_into(self.out, fill);
        self
    }
}

impl Array<'_> {
    /// Ends a chain where a closure may return nothing.
    pub fn end(&mut self) {}

    pub fn item(&mut self, it: &(impl Serialize + ?Sized)) -> &mut Self {
        separate(self.out, &mut self.first);
        value(self.out, it);
        self
    }

    pub fn object(&mut self, fill: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        separate(self.out, &mut self.first);
        object_into(self.out, fill);
        self
    }
}

fn array_into(out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
    out.push(b'[');
    fill(&mut Array { out, first: true });
    out.push(b']');
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

fn value(out: &mut Vec<u8>, it: &(impl Serialize + ?Sized)) {
    let before = out.len();
    if serde_json::to_writer(&mut *out, it).is_err() {
        out.truncate(before);
        out.extend_from_slice(b"null");
    }
}
