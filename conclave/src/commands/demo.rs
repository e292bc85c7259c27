//! `conclave demo`: the original's demo in one process. Two simulated llama-servers, the mappings of `API_KEY-1` and
//! `API_KEY-2`, aggregator and edge; nothing is installed, and nothing is left behind.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use aggregator::AggregatorConfig;
use anyhow::{Context, Result};
use edge::{BoundEdge, EdgeConfig, Timeouts};
use sim::Sim;

use super::aggregator::AggregatorThread;
use super::edge::stop;
use super::up::url_of;
use crate::cli::DemoArgs;
use crate::{folder, logging, signals};

const SERVERS: [DemoServer; 2] = [
    DemoServer {
        name: "llama-server-1",
        model: "TinyLlama_Chat",
        key: "API_KEY-1",
    },
    DemoServer {
        name: "llama-server-2",
        model: "mistral-tiny",
        key: "API_KEY-2",
    },
];

/// The keys are the original demo's published placeholders.
struct DemoServer {
    name: &'static str,
    model: &'static str,
    key: &'static str,
}

pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode> {
    logging::init(args.logging.log_level, args.logging.log_json);
    let signals = signals::listen()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let mappings = tempfile::Builder::new()
        .prefix("conclave-demo-")
        .tempdir()
        .context("a folder for the mappings")?;
    let sims = runtime.block_on(start_servers(mappings.path()))?;
    let watch = folder::watch(mappings.path(), Duration::from_secs(3), None)?;

    let service = AggregatorConfig {
        port: 0,
        ..AggregatorConfig::default()
    };
    let aggregator = AggregatorThread::start(service, &watch, None)?;
    let bound = BoundEdge::bind(edge_config(args.listen, aggregator.address), watch.snapshot())?;
    let address = bound.addresses().first().copied().unwrap_or(args.listen);
    let running = bound.start();
    println!("{}", invitation(address, mappings.path()));

    signals.until_end(&mut || watch.rescan());
    signals.end_at_once_on_stop()?;
    let code = stop(running);
    aggregator.stop()?;
    runtime.block_on(async {
        for sim in sims {
            sim.shutdown().await;
        }
    });
    Ok(code)
}

async fn start_servers(mappings: &Path) -> Result<Vec<Sim>> {
    let mut sims = Vec::new();
    for server in &SERVERS {
        // A laptop's speed: prompts are read quickly, and one can watch the words come.
        let sim = Sim::builder()
            .model(server.model)
            .prefill_rate(500.0)
            .decode_rate(25.0)
            .start("127.0.0.1:0")
            .await?;
        let path = mappings.join(format!("{}.yml", server.name));
        fs::write(&path, mapping(server, &sim.url())).with_context(|| path.display().to_string())?;
        sims.push(sim);
    }
    Ok(sims)
}

fn mapping(server: &DemoServer, url: &str) -> String {
    let DemoServer { name, key, .. } = server;
    format!(
        "http:
  routers:
    {name}:
      rule: \"HeaderRegexp(`Authorization`, `^Bearer {key}$`)\"
      service: {name}
      entryPoints:
        - llama-servers

  services:
    {name}:
      loadBalancer:
        servers:
          - url: \"{url}\"
"
    )
}

fn edge_config(listen: SocketAddr, aggregator: SocketAddr) -> EdgeConfig {
    EdgeConfig {
        aggregator: Some(url_of(aggregator)),
        timeouts: Timeouts {
            drain: Some(Duration::from_secs(5)),
            ..Timeouts::default()
        },
        ..EdgeConfig::at(listen)
    }
}

fn invitation(address: SocketAddr, mappings: &Path) -> String {
    let chats = SERVERS.iter().map(|server| chat(address, server)).collect::<String>();
    format!(
        "Conclave's demo listens on http://{address}. Both servers are simulated: the answers are made-up words.
{chats}
# Without a key: the models of all servers, and the host's figures.
curl http://{address}/v1/models
curl http://{address}/stats

# With a key: the models of that key's server alone.
curl http://{address}/v1/models -H \"Authorization: Bearer API_KEY-1\"

# A mapping file dropped here works a moment later: {}
# Ctrl-C ends the demo.",
        mappings.display()
    )
}

fn chat(address: SocketAddr, server: &DemoServer) -> String {
    let DemoServer { name, model, key } = server;
    format!(
        "
# {key} opens {name} ({model}).
curl -N http://{address}/v1/chat/completions \\
  -H \"Content-Type: application/json\" -H \"Authorization: Bearer {key}\" \\
  -d '{{\"model\": \"{model}\", \"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \"Say hello.\"}}]}}'
"
    )
}
