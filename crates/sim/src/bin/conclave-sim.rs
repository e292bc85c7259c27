//! `conclave-sim`: a simulator to run by hand or from a benchmark. Prints its address, serves until Ctrl-C.

use std::time::Duration;

use clap::Parser;

/// A llama-server look-alike: right shapes, right timing, made-up words.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8011")]
    listen: String,
    /// The model's id.
    #[arg(long, default_value = "sim")]
    model: String,
    /// A further name of the model; repeatable.
    #[arg(long)]
    alias: Vec<String>,
    /// Generations at once; more requests wait.
    #[arg(long, default_value_t = 4)]
    slots: usize,
    /// Tokens a slot holds.
    #[arg(long, default_value_t = 4096)]
    context: usize,
    /// Prompt tokens a second; 0 is instantly.
    #[arg(long, default_value_t = 1000.0)]
    prefill_rate: f64,
    /// Generated tokens a second in each slot; 0 is instantly.
    #[arg(long, default_value_t = 50.0)]
    decode_rate: f64,
    /// Milliseconds of answering "Loading model".
    #[arg(long, default_value_t = 0)]
    loading_ms: u64,
    /// Key that every request except health must bring.
    #[arg(long, env = "CONCLAVE_SIM_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Serve embeddings of this length.
    #[arg(long)]
    embeddings: Option<usize>,
    /// Natural length of every answer, in tokens.
    #[arg(long)]
    answer_tokens: Option<usize>,
    /// Answer every generation request at once with one body of this size.
    #[arg(long)]
    answer_bytes: Option<usize>,
    /// Close a connection after this many idle seconds.
    #[arg(long, default_value_t = 5)]
    keep_alive_s: u64,
    /// Close a connection after this many requests.
    #[arg(long, default_value_t = 100)]
    keep_alive_requests: usize,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let mut builder = sim::Sim::builder()
        .model(args.model)
        .slots(args.slots)
        .context_tokens(args.context)
        .prefill_rate(args.prefill_rate)
        .decode_rate(args.decode_rate)
        .loading(Duration::from_millis(args.loading_ms))
        .keep_alive(Duration::from_secs(args.keep_alive_s), args.keep_alive_requests);
    for alias in args.alias {
        builder = builder.alias(alias);
    }
    if let Some(key) = args.api_key {
        builder = builder.api_key(key);
    }
    if let Some(dimensions) = args.embeddings {
        builder = builder.embeddings(dimensions);
    }
    if let Some(tokens) = args.answer_tokens {
        builder = builder.answer_tokens(tokens);
    }
    if let Some(bytes) = args.answer_bytes {
        builder = builder.answer_bytes(bytes);
    }
    let sim = builder.start(&args.listen).await?;
    println!("listening {}", sim.url());
    tokio::signal::ctrl_c().await?;
    sim.shutdown().await;
    Ok(())
}
