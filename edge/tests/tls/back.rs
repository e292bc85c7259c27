//! Servers over TLS.

use edge::{TlsSettings, UpstreamTls};

use crate::pki::{Authority, replace};
use crate::world::{Client, Origin, World, client_config, mapping, settings, wait_for};
use crate::{HTTP_11, KEY};

struct Stage {
    folder: tempfile::TempDir,
    authority: Authority,
    tls: TlsSettings,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new(folder.path(), "ca");
        let files = authority.issue(folder.path(), "edge", &["a.example"]);
        let tls = settings(&[files]);
        Self { folder, authority, tls }
    }

    /// What a client is answered by an edge that reaches its servers so, over either carrier.
    fn statuses(&self, upstream: UpstreamTls, mapping: &str) -> [String; 2] {
        let tls = TlsSettings {
            upstream,
            ..self.tls.clone()
        };
        let world = World::start(tls, mapping);
        [self.status(&world), crate::http2::status(&world, &self.authority)]
    }

    fn status(&self, world: &World) -> String {
        let config = client_config(&self.authority.file, None, HTTP_11);
        let mut client = Client::connect(world.tls, "a.example", &config).expect("let in");
        client.get(KEY).expect("an answer")[9..12].to_owned()
    }
}

fn trusting(authority: &Authority) -> UpstreamTls {
    UpstreamTls {
        ca: Some(authority.file.clone()),
        identity: None,
    }
}

#[test]
fn a_server_is_believed_only_with_a_certificate_of_its_authority_for_its_name() {
    let stage = Stage::new();
    let theirs = Authority::new(stage.folder.path(), "theirs");
    let named = theirs.issue(stage.folder.path(), "named", &["localhost"]);
    let misnamed = theirs.issue(stage.folder.path(), "misnamed", &["elsewhere"]);
    for (files, trust, expected) in [
        (&named, trusting(&theirs), "200"),
        (&named, trusting(&stage.authority), "502"),
        (&named, UpstreamTls::default(), "502"),
        (&misnamed, trusting(&theirs), "502"),
    ] {
        let origin = Origin::secured(files, None);
        let answered = stage.statuses(trust.clone(), &mapping(&origin.url, "", ""));
        assert_eq!(answered, [expected; 2], "{files:?} {trust:?}");
    }
}

#[test]
fn a_server_that_asks_who_we_are_is_shown_our_certificate() {
    let stage = Stage::new();
    let theirs = Authority::new(stage.folder.path(), "theirs");
    let files = theirs.issue(stage.folder.path(), "server", &["localhost"]);
    let ours = theirs.issue(stage.folder.path(), "ours", &["edge"]);
    let origin = Origin::secured(&files, Some(&theirs.file));
    for (identity, expected) in [(Some(ours), "200"), (None, "502")] {
        let upstream = UpstreamTls {
            identity,
            ..trusting(&theirs)
        };
        assert_eq!(stage.statuses(upstream, &mapping(&origin.url, "", "")), [expected; 2]);
    }
}

#[test]
fn a_transport_says_whom_its_services_trust_and_by_which_name() {
    let stage = Stage::new();
    let theirs = Authority::new(stage.folder.path(), "theirs");
    let files = theirs.issue(stage.folder.path(), "server", &["gpu.internal"]);
    let origin = Origin::secured(&files, None);
    let ca = theirs.file.display();
    for (transport, expected) in [
        (format!("{{ rootCAs: [\"{ca}\"], serverName: gpu.internal }}"), "200"),
        (format!("{{ rootCAs: [\"{ca}\"] }}"), "502"),
        ("{ serverName: gpu.internal }".to_owned(), "502"),
        ("{ insecureSkipVerify: true }".to_owned(), "200"),
        (
            "{ rootCAs: [\"/nowhere.pem\"], serverName: gpu.internal }".to_owned(),
            "502",
        ),
    ] {
        let further = format!("  serversTransports:\n    t: {transport}\n");
        let mapping = mapping(&origin.url, "        serversTransport: t\n", &further);
        assert_eq!(
            stage.statuses(UpstreamTls::default(), &mapping),
            [expected; 2],
            "{transport}"
        );
    }
}

#[test]
fn an_authority_that_is_replaced_counts_from_then_on() {
    let stage = Stage::new();
    let (theirs, other) = (
        Authority::new(stage.folder.path(), "theirs"),
        Authority::new(stage.folder.path(), "other"),
    );
    let files = theirs.issue(stage.folder.path(), "server", &["localhost"]);
    let origin = Origin::secured(&files, None);
    let right = std::fs::read_to_string(&theirs.file).expect("readable");
    let tls = TlsSettings {
        upstream: trusting(&other),
        ..stage.tls.clone()
    };
    let world = World::start(tls, &mapping(&origin.url, "", ""));
    assert_eq!(stage.status(&world), "502");
    replace(&other.file, &right);
    wait_for("the right authority", || stage.status(&world) == "200");
}
