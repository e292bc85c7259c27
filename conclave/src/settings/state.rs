//! Where the edge remembers what was used of limits.

use std::env::var_os;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use edge::StateFolder;

const NONE: &str = "none";

/// What was typed; else the folder that systemd gives; else the user's own. `None` to forget.
pub(crate) fn folder(typed: Option<&Path>) -> Option<StateFolder> {
    chosen(typed, |name| var_os(name).filter(|value| !value.is_empty()))
}

fn chosen(typed: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Option<StateFolder> {
    if let Some(typed) = typed {
        return (typed != Path::new(NONE)).then(|| asked_for(typed.to_owned()));
    }
    if let Some(given) = variable("STATE_DIRECTORY") {
        return Some(asked_for(given.into()));
    }
    // Relative paths are not valid there, says XDG.
    let xdg = variable("XDG_STATE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || Some(Path::new(&variable("HOME")?).join(".local/state"));
    Some(StateFolder {
        path: xdg.or_else(home)?.join("conclave"),
        required: false,
    })
}

fn asked_for(path: PathBuf) -> StateFolder {
    StateFolder { path, required: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_wins_over_systemd_over_the_user_s_own() {
        type Case<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], Option<(&'a str, bool)>);
        let cases: [Case<'_>; 7] = [
            (Some("here"), &[("STATE_DIRECTORY", "/var/lib/c")], Some(("here", true))),
            (Some("none"), &[("STATE_DIRECTORY", "/var/lib/c")], None),
            (
                None,
                &[("STATE_DIRECTORY", "/var/lib/c"), ("HOME", "/h")],
                Some(("/var/lib/c", true)),
            ),
            (
                None,
                &[("XDG_STATE_HOME", "/x"), ("HOME", "/h")],
                Some(("/x/conclave", false)),
            ),
            (
                None,
                &[("XDG_STATE_HOME", "x"), ("HOME", "/h")],
                Some(("/h/.local/state/conclave", false)),
            ),
            (None, &[("HOME", "/h")], Some(("/h/.local/state/conclave", false))),
            (None, &[], None),
        ];
        for (typed, variables, expected) in cases {
            let variable = |name: &str| {
                variables
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, value)| value.into())
            };
            let found = chosen(typed.map(Path::new), variable);
            let found = found
                .as_ref()
                .map(|folder| (folder.path.to_str().expect("text"), folder.required));
            assert_eq!(found, expected, "{typed:?} {variables:?}");
        }
    }
}
