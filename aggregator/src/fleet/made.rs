//! Fleets made by hand, for tests.

use std::sync::Arc;

use super::{Backend, FleetView, Loaded, Models, Status, Traffic};
use crate::backend::{BackendKind, BackendUrl, Origin, Spec};
use crate::catalogue::ModelList;
use crate::config_file::{Fallbacks, Routing};

pub(crate) struct Made {
    pub(crate) name: &'static str,
    pub(crate) status: Status,
    pub(crate) models: &'static [&'static str],
    pub(crate) priority: i32,
}

pub(crate) fn up(name: &'static str, models: &'static [&'static str]) -> Made {
    Made {
        name,
        status: Status::Up,
        models,
        priority: 1,
    }
}

fn backend(number: u32, made: &Made) -> Arc<Backend> {
    let url = keymap::ServerUrl::parse(&format!("http://10.0.0.1:{}", 8000 + number)).unwrap();
    let spec = Arc::new(Spec {
        name: made.name.into(),
        kind: BackendKind::OpenAi,
        url: BackendUrl::from(&url),
        origin: Origin::Configured,
        priority: made.priority,
        weight: 1,
        timeout: None,
        models: None,
        prices: Default::default(),
        headers: Default::default(),
    });
    let ids: Vec<Arc<str>> = made.models.iter().map(|id| Arc::from(*id)).collect();
    let list = ModelList::fixed(&ids, made.name);
    Arc::new(Backend {
        id: spec.id(),
        number,
        models: Arc::new(Models::of(BackendKind::OpenAi, &list, &Loaded::AsListed)),
        spec,
        status: made.status,
        cause: None,
        heard_at: None,
        slots: None,
        others_busy: 0,
        traffic: Arc::new(Traffic::default()),
        headers: Default::default(),
    })
}

pub(crate) fn view(fleet: &[Made], fallbacks: &[(&str, &[&str])]) -> FleetView {
    let names = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
    let fallbacks: Fallbacks = fallbacks
        .iter()
        .map(|(model, chain)| (Arc::from(*model), names(chain)))
        .collect();
    let routing = Arc::new(Routing {
        fallbacks,
        ..Routing::default()
    });
    let backends = (0..).zip(fleet).map(|(number, made)| backend(number, made)).collect();
    FleetView::new(backends, routing, &FleetView::default())
}
