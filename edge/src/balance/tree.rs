//! A service as the edge asks it for a server: its own pool, or a choice among other services.
//!
//! ```text
//!  Weighted ─┬─ Pool       by turns; a child that has no server to give is passed over
//!            └─ Failover ─┬─ Pool      the fallback where the first has none, or none that was not tried yet
//!                         └─ Pool
//!  Mirroring ─┬─ Pool      the answer comes from here
//!             └─ Pool      a copy of so many percent goes here, and nobody waits for it
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use keymap::{LoadBalancer, Mirroring, Service, ServiceKind};

use super::member::Mirror;
use super::pool::{Ask, Found, Pool};
use super::schedule::Schedule;
use super::sticky::{self, Cookie};
use super::strategy::Strategy;
use super::{rendezvous, settings};
use crate::health::{Registry, probe};
use crate::upstream::Upstream;

#[derive(Debug)]
pub(crate) struct Balancer {
    kind: Kind,
    /// Where it leads, a conversation is asked after, and for that the body is read.
    pub(crate) wants_conversation: bool,
    pub(crate) wants_cookie: bool,
    /// There is more than one server.
    pub(crate) has_choice: bool,
    /// Copies of what is sent may go elsewhere.
    pub(crate) is_mirrored: bool,
}

#[derive(Debug)]
enum Kind {
    Pool {
        pool: Pool,
        /// Ends with the service.
        _probing: probe::Probing,
    },
    Weighted {
        children: Children,
        schedule: Schedule,
        turn: AtomicUsize,
        sticky: Option<Cookie>,
    },
    Highest(Children),
    Failover(Children),
    Mirroring {
        main: Arc<Service>,
        mirrors: Box<[MirrorShare]>,
        turn: AtomicUsize,
        body_bytes_max: usize,
    },
}

#[derive(Debug)]
struct Child {
    service: Arc<Service>,
    weight: u32,
    name: u64,
}

type Children = Box<[Child]>;

#[derive(Debug)]
struct MirrorShare {
    service: Arc<Service>,
    percent: usize,
}

impl Balancer {
    /// The balancer of a service, made when it is first asked.
    pub(crate) fn of<'a>(service: &'a Service, registry: &Arc<Registry>) -> Option<&'a Self> {
        service
            .attachment
            .get_or_attach(|| Arc::new(Self::new(service, registry)))
    }

    /// One server that is not of a mapping.
    pub(crate) fn lone(name: &Arc<str>, server: &keymap::Server, registry: &Arc<Registry>) -> Self {
        let balancer = LoadBalancer::plain(Box::new([server.clone()]));
        Self::pool(name, &balancer, registry)
    }

    fn new(service: &Service, registry: &Arc<Registry>) -> Self {
        let kind = match &service.kind {
            ServiceKind::LoadBalancer(balancer) => return Self::pool(&service.name, balancer, registry),
            ServiceKind::Weighted(it) => {
                let weights: Vec<u32> = it.shares.iter().map(|share| share.weight).collect();
                Kind::Weighted {
                    children: children(it.shares.iter().map(|share| (&share.service, share.weight))),
                    schedule: Schedule::of(&weights),
                    turn: AtomicUsize::new(0),
                    sticky: it.sticky.as_ref().map(|cookie| settings::cookie(&service.name, cookie)),
                }
            }
            ServiceKind::HighestRandomWeight(it) => {
                Kind::Highest(children(it.shares.iter().map(|share| (&share.service, share.weight))))
            }
            ServiceKind::Failover(it) => Kind::Failover(children([(&it.service, 1), (&it.fallback, 1)].into_iter())),
            ServiceKind::Mirroring(it) => mirroring(it),
        };
        let below = || {
            service
                .children()
                .filter_map(|child| Self::of(child.service()?, registry))
        };
        let has_cookie = matches!(&kind, Kind::Weighted { sticky: Some(_), .. });
        Self {
            wants_conversation: below().any(|child| child.wants_conversation),
            wants_cookie: has_cookie || below().any(|child| child.wants_cookie),
            has_choice: service.children().count() > 1 || below().any(|child| child.has_choice),
            is_mirrored: matches!(kind, Kind::Mirroring { .. }) || below().any(|child| child.is_mirrored),
            kind,
        }
    }

    fn pool(name: &Arc<str>, balancer: &LoadBalancer, registry: &Arc<Registry>) -> Self {
        let terms = settings::terms(name, balancer);
        let asks_slots = matches!(terms.strategy, Strategy::Prefix(_)) && balancer.servers.len() > 1;
        let wants_cookie = terms.sticky.is_some();
        let times = settings::times(balancer);
        let servers = balancer.servers.iter().map(|server| {
            let url = settings::url_text(server);
            let upstream = Upstream::new(server).with_times(times).under(balancer.transport());
            (upstream, server.weight, url)
        });
        let pool = Pool::new(name, servers.collect(), terms, registry);
        Self {
            wants_conversation: asks_slots,
            wants_cookie,
            has_choice: balancer.servers.len() > 1,
            is_mirrored: false,
            kind: Kind::Pool {
                _probing: probe::start(pool.members(), balancer.health_check(), asks_slots, registry),
                pool,
            },
        }
    }

    pub(crate) fn pick(&self, ask: &Ask<'_>, registry: &Arc<Registry>) -> Found {
        let of = |child: &Child| Self::of(&child.service, registry).map_or(Found::Nothing, |it| it.pick(ask, registry));
        match &self.kind {
            Kind::Pool { pool, .. } => pool.pick(ask),
            Kind::Failover(children) => first(children.iter().map(of)),
            Kind::Highest(children) => {
                let client = rendezvous::client(ask.client);
                let score = |child: &&Child| rendezvous::score(client, child.name, f64::from(child.weight));
                let mut order: Vec<&Child> = children.iter().filter(|child| child.weight > 0).collect();
                order.sort_by(|a, b| score(b).total_cmp(&score(a)));
                first(order.into_iter().map(of))
            }
            Kind::Weighted {
                children,
                schedule,
                turn,
                sticky,
            } => {
                let stuck = sticky.as_ref().zip(ask.cookie).and_then(|(cookie, header)| {
                    let value = cookie.value_in(header)?;
                    children.iter().position(|child| sticky::value_of(child.name) == value)
                });
                let mut order = Order::new(children.len(), stuck, schedule, turn);
                first(std::iter::from_fn(|| {
                    let child = &children[order.next()?];
                    Some(with_cookie(of(child), sticky.as_ref(), child.name))
                }))
            }
            Kind::Mirroring {
                main,
                mirrors,
                turn,
                body_bytes_max,
            } => {
                let mut found = Self::of(main, registry).map_or(Found::Nothing, |it| it.pick(ask, registry));
                if let Found::Server(pick) = &mut found
                    && ask.tried.is_empty()
                {
                    let turn = turn.fetch_add(1, Relaxed);
                    let drawn = mirrors.iter().filter(|mirror| is_drawn(turn, mirror.percent));
                    pick.mirrors.extend(drawn.filter_map(|mirror| {
                        match Self::of(&mirror.service, registry)?.pick(ask, registry) {
                            Found::Server(pick) => Some(Mirror {
                                pick,
                                body_bytes_max: *body_bytes_max,
                                slot: None,
                            }),
                            _ => None,
                        }
                    }));
                }
                found
            }
        }
    }
}

/// The order in which a weighted service's children are asked: the cookie's, then by turns, each once.
struct Order<'a> {
    asked: Vec<bool>,
    stuck: Option<usize>,
    schedule: &'a Schedule,
    turn: &'a AtomicUsize,
}

impl<'a> Order<'a> {
    fn new(children: usize, stuck: Option<usize>, schedule: &'a Schedule, turn: &'a AtomicUsize) -> Self {
        Self {
            asked: vec![false; children],
            stuck,
            schedule,
            turn,
        }
    }

    fn next(&mut self) -> Option<usize> {
        let turn = || self.turn.fetch_add(1, Relaxed);
        let next = self
            .stuck
            .take()
            .or_else(|| self.schedule.next(turn, |index| !self.asked[index]))?;
        self.asked[next] = true;
        Some(next)
    }
}

/// The first that has a server; else the first whose servers load.
fn first(found: impl Iterator<Item = Found>) -> Found {
    let mut loading = Found::Nothing;
    for found in found {
        match (&found, &loading) {
            (Found::Server(_), _) => return found,
            (Found::Loading { .. }, Found::Nothing) => loading = found,
            _ => {}
        }
    }
    loading
}

fn with_cookie(mut found: Found, cookie: Option<&Cookie>, name: u64) -> Found {
    if let (Found::Server(pick), Some(cookie)) = (&mut found, cookie) {
        pick.cookies.push(cookie.set(sticky::value_of(name)));
    }
    found
}

/// So many of each hundred turns, evenly.
fn is_drawn(turn: usize, percent: usize) -> bool {
    let turn = turn % 100;
    (turn + 1) * percent / 100 > turn * percent / 100
}

fn children<'a>(children: impl Iterator<Item = (&'a keymap::Child, u32)>) -> Children {
    let child = |(child, weight): (&keymap::Child, u32)| {
        Some(Child {
            service: child.service()?.clone(),
            weight,
            name: rendezvous::name(child.name.as_bytes()),
        })
    };
    // The table hands out no service of which a child was not found.
    children.filter_map(child).collect()
}

fn mirroring(it: &Mirroring) -> Kind {
    let Some(main) = it.service.service() else {
        return Kind::Failover(Box::default());
    };
    let share = |mirror: &keymap::Mirror| {
        Some(MirrorShare {
            service: mirror.service.service()?.clone(),
            percent: usize::from(mirror.percent).min(100),
        })
    };
    let body_bytes_max = match (it.mirror_body, it.body_bytes_max) {
        (false, _) => 0,
        (true, Some(most)) => usize::try_from(most).unwrap_or(usize::MAX),
        (true, None) => usize::MAX,
    };
    Kind::Mirroring {
        main: main.clone(),
        mirrors: it.mirrors.iter().filter_map(share).collect(),
        turn: AtomicUsize::new(0),
        body_bytes_max: body_bytes_max.min(super::mirror::BODY_BYTES_MAX),
    }
}
