//! The whole edge over real sockets: every test starts one, with servers that record or that are simulated.

mod harness {
    pub(crate) mod http;
    pub(crate) mod origin;
    pub(crate) mod world;
}

mod cases {
    mod credentials;
    mod forwarding;
    mod keyless;
    mod lifecycle;
    mod models;
    mod paths;
    mod reload;
    mod servers;
    mod streams;
}
