//! Changes of files → tables, each change at the cost of what the changed file holds.
//!
//! ```text
//!  set(file) ──▶ definitions ──changed names──▶ users ──▶ stale routers ──table()──▶ resolve ──▶ place in the table
//! ```
//!
//! Invariant: the table that comes out is the one that setting the same files in any other order would give.

mod compose;
mod flatten;
mod resolve;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::cross_origin;
use super::definitions::{Definitions, File, Named};
use super::entry_points::EntryPoints;
use super::index::{Index, Indexed};
use super::links::Links;
use super::order::Ordered;
use super::problems::{self, Problems, Subject};
use super::shards::Priority;
use super::ties::Ties;
use super::used::Used;
use super::users::Users;
use super::watched;
use super::{Route, Table};
use crate::key::KeyHash;
use crate::mapping::{Mapping, Middleware, MiddlewareKind, Router, ServersTransport, Service};
use document::Problem;

/// Turns changes of files into tables. A change costs what the changed file holds, not what the folder holds.
#[derive(Debug, Default)]
pub struct Compiler {
    entry_points: Option<BTreeSet<String>>,
    files: Index<Arc<File>>,
    refused: HashMap<Arc<str>, Box<[KeyHash]>>,
    routers: Definitions<Router>,
    services: Definitions<Service>,
    middlewares: Definitions<Middleware>,
    transports: Definitions<ServersTransport>,
    /// Routers by what they name themselves.
    service_users: Users,
    middleware_users: Users,
    /// Services that name services, services that name transports, and chains.
    service_links: Links,
    transport_links: Links,
    chain_links: Links,
    /// Services that name something, with what they name in them, as far as routers lead there.
    composites: HashMap<Arc<str>, Arc<Service>>,
    stale: Stale,
    routes: Index<Arc<Route>>,
    scanned: Ordered,
    keyless: Ordered,
    cross_origins: Used<Middleware>,
    watched: Used<Service>,
    /// What the next table is cloned from.
    table: Table,
    /// Keys whose routers may tie, or no longer tie, since the last table.
    touched: HashSet<KeyHash>,
    ties: Ties,
    problems: Problems,
}

/// Names of routers to be resolved anew, in the order they came: so what was made together is visited together.
#[derive(Debug, Default)]
struct Stale {
    names: Vec<Arc<str>>,
    known: Index<Arc<str>>,
}

impl Stale {
    fn add(&mut self, name: Arc<str>) {
        if self.known.insert(name.clone()).is_none() {
            self.names.push(name);
        }
    }
}

impl Compiler {
    /// Entry points that exist. `None`: they are not told apart, and a router may name any.
    pub fn new(entry_points: Option<Vec<String>>) -> Self {
        let entry_points = entry_points.map(BTreeSet::from_iter);
        Self {
            table: Table {
                entry_points: EntryPoints::new(entry_points.iter().flatten()),
                ..Table::default()
            },
            entry_points,
            ..Self::default()
        }
    }

    /// Sets (`Some`) or removes (`None`) one file's content. `file` orders files: the first in lexical order wins a name.
    pub fn set(&mut self, file: &str, mapping: Option<Arc<Mapping>>) {
        let old = self.files.remove(file);
        let name = old.as_ref().map_or_else(|| file.into(), |old| old.name.clone());
        let keeps = mapping.is_some();
        let file = Arc::new(File {
            name,
            mapping: mapping.unwrap_or_default(),
        });
        let old = old.map(|old| old.mapping.clone()).unwrap_or_default();
        let new = &file.mapping;
        for name in self.routers.replace(&file, &old.routers, &new.routers) {
            note_duplicates(&self.routers, &name, &mut self.problems);
            self.stale.add(name);
        }
        for name in self.transports.replace(&file, &old.transports, &new.transports) {
            note_duplicates(&self.transports, &name, &mut self.problems);
            let services: Vec<_> = self.transport_links.users(&name).cloned().collect();
            services.iter().for_each(|service| self.service_changed(service));
        }
        for name in self.services.replace(&file, &old.services, &new.services) {
            note_duplicates(&self.services, &name, &mut self.problems);
            self.link_service(&name);
            self.service_changed(&name);
        }
        for name in self.middlewares.replace(&file, &old.middlewares, &new.middlewares) {
            note_duplicates(&self.middlewares, &name, &mut self.problems);
            self.link_chain(&name);
            self.middleware_changed(&name);
        }
        if keeps {
            self.files.insert(file);
        }
    }

    fn link_service(&mut self, name: &Arc<str>) {
        let service = self.services.winner(name).map(|found| &found.item);
        let children = service.map(|service| service.children().map(|child| child.name.clone()).collect());
        let transport = service.and_then(|service| service.transport_name());
        self.transport_links.set(
            name,
            transport.map(|transport| transport.name.clone()).into_iter().collect(),
        );
        self.service_links.set(name, children.unwrap_or_default());
    }

    fn link_chain(&mut self, name: &Arc<str>) {
        let named = match self.middlewares.winner(name).map(|found| &found.item.kind) {
            Some(MiddlewareKind::Chain(names)) => names.clone(),
            _ => Box::default(),
        };
        self.chain_links.set(name, named);
    }

    /// Everything that leads there, by way of other services too, is resolved anew.
    fn service_changed(&mut self, name: &Arc<str>) {
        for service in self.service_links.above(name) {
            self.composites.remove(&service);
            self.service_users
                .of(&service)
                .for_each(|router| self.stale.add(router.clone()));
        }
    }

    fn middleware_changed(&mut self, name: &Arc<str>) {
        for middleware in self.chain_links.above(name) {
            self.middleware_users
                .of(&middleware)
                .for_each(|router| self.stale.add(router.clone()));
        }
    }

    /// Keys to be refused with 503, read as well as could be from a file that has no good content.
    pub fn set_refused(&mut self, file: &str, keys: Vec<KeyHash>) {
        let keys = BTreeSet::from_iter(keys);
        for key in self.refused.remove(file).into_iter().flatten() {
            self.table.shards.forgive(&key);
        }
        if !keys.is_empty() {
            keys.iter().for_each(|key| self.table.shards.refuse(key));
            self.refused.insert(file.into(), keys.into_iter().collect());
        }
    }

    /// The table of what was set, and what is wrong across files (duplicate names, missing services).
    pub fn table(&mut self) -> (Arc<Table>, Vec<Problem>) {
        for name in std::mem::take(&mut self.stale).names {
            self.unplace(&name);
            self.place(&name);
        }
        self.note_ties();
        self.scanned.publish(&mut self.table.scanned);
        self.table.scanned_from = self.table.scanned.first().map(|route| Priority::of(route));
        self.keyless.publish(&mut self.table.keyless);
        self.cross_origins.publish(&mut self.table.cross_origins);
        self.watched.publish(&mut self.table.watched);
        self.table.routers = self.routes.len();
        (Arc::new(self.table.clone()), self.problems.list())
    }

    fn place(&mut self, name: &Arc<str>) {
        let service = self.routers.winner(name).map(|winner| winner.item.service.clone());
        let destination = service.map(|service| self.destination(&service));
        let (Some(winner), Some(destination)) = (self.routers.winner(name), destination) else {
            self.problems.set(Subject::Broken(name.clone()), Vec::new());
            return;
        };
        let (route, problems) = self.resolve(winner, destination);
        self.problems.set(Subject::Broken(name.clone()), problems);
        let route = Arc::new(route);
        self.service_users.add(&route.router.service, name);
        for middleware in &route.router.middlewares {
            self.middleware_users.add(middleware, name);
        }
        self.cross_origins.insert(cross_origin::of(&route));
        self.watched.insert(watched::of(&route));
        let reach = route.router.rule.reach();
        match reach.keyed.listed() {
            Some(keys) => {
                for key in keys {
                    let routes = self.table.shards.insert(&key, &route);
                    self.touch(key, routes);
                }
            }
            None => self.scanned.insert(&route),
        }
        if reach.keyless {
            self.keyless.insert(&route);
        }
        self.routes.insert(route);
    }

    /// Undoes [`Self::place`].
    fn unplace(&mut self, name: &Arc<str>) {
        let Some(route) = self.routes.remove(name) else { return };
        self.service_users.remove(&route.router.service, name);
        for middleware in &route.router.middlewares {
            self.middleware_users.remove(middleware, name);
        }
        for key in route.router.rule.pins().into_iter().flatten() {
            let routes = self.table.shards.remove(&key, &route);
            self.touch(key, routes);
        }
        self.scanned.remove(&route);
        self.keyless.remove(&route);
        self.cross_origins.remove(cross_origin::of(&route));
        self.watched.remove(watched::of(&route));
    }

    /// One router alone cannot tie; that it once did with others must be seen to.
    fn touch(&mut self, key: KeyHash, routes: usize) {
        if routes > 1 || self.ties.knows(&key) {
            self.touched.insert(key);
        }
    }

    fn note_ties(&mut self) {
        let mut concerned = BTreeSet::new();
        for key in std::mem::take(&mut self.touched) {
            concerned.extend(self.ties.update(&key, self.table.shards.entry(&key).routes()));
        }
        for pair in concerned {
            let later = self.routers.winner(&pair.1).filter(|_| self.ties.contains(&pair));
            let problem = later.map(|later| problems::tie(&pair.0, later));
            self.problems.set(Subject::Tie(pair), Vec::from_iter(problem));
        }
    }
}

impl Indexed for Arc<File> {
    fn key(&self) -> &str {
        &self.name
    }
}

impl Indexed for Arc<Route> {
    fn key(&self) -> &str {
        &self.router.name
    }
}

fn note_duplicates<T: Named>(definitions: &Definitions<T>, name: &Arc<str>, problems: &mut Problems) {
    problems.set(
        Subject::Duplicate(T::KIND, name.clone()),
        problems::duplicates(definitions, name),
    );
}
