//! Things that name others of their kind or of another (a weighted service its children, a chain its middlewares),
//! both ways: so that a change finds all that stands above it, without looking at the rest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::users::Users;

#[derive(Debug, Default)]
pub(super) struct Links {
    users: Users,
    /// What each of those that name others was last seen to name. Few do.
    used: HashMap<Arc<str>, Box<[Arc<str>]>>,
}

impl Links {
    /// Notes what `user` names now, in the place of what it named before.
    pub(super) fn set(&mut self, user: &Arc<str>, used: Box<[Arc<str>]>) {
        for name in self.used.remove(user).into_iter().flatten() {
            self.users.remove(&name, user);
        }
        if !used.is_empty() {
            used.iter().for_each(|name| self.users.add(name, user));
            self.used.insert(user.clone(), used);
        }
    }

    /// Those that name it.
    pub(super) fn users(&self, used: &str) -> impl Iterator<Item = &Arc<str>> {
        self.users.of(used)
    }

    /// The name, those that name it, those that name these, and so on; each once, though they may go round.
    pub(super) fn above(&self, name: &Arc<str>) -> Vec<Arc<str>> {
        let mut found = vec![name.clone()];
        if self.users(name).next().is_none() {
            return found;
        }
        let mut known = HashSet::from([name.clone()]);
        let mut at = 0;
        while let Some(name) = found.get(at).cloned() {
            at += 1;
            let new = self.users(&name).filter(|user| known.insert((*user).clone()));
            found.extend(new.cloned());
        }
        found
    }
}
