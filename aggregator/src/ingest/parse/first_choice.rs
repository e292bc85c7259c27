//! Streams of several answers at once (`n`), which are told apart by `choices[0].index`. Only the first is read as text;
//! the others are in the bytes that are kept.

use dialect::json::read::{Object, Problems};

/// Whether a chunk belongs to another answer than the first.
pub(super) fn is_other(chunk: &[u8]) -> bool {
    let problems = Problems::lenient();
    let index = Object::root(chunk, &problems).and_then(|root| {
        let choice = root.array("choices").into_iter().next()?.object()?;
        choice.unsigned("index")
    });
    index.is_some_and(|index| index > 0)
}
