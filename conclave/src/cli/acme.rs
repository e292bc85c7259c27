//! What is typed of ACME: names, an authority, and how names are proven to it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Certificates that an authority issues and that are renewed by themselves.
#[derive(Debug, Args)]
#[command(next_help_heading = "ACME")]
pub(crate) struct AcmeArgs {
    /// Get a certificate for this host name by ACME, and keep it renewed; `a.example+www.a.example` is one for both;
    /// may be given several times
    #[arg(
        long,
        value_name = "NAME[+NAME]",
        value_delimiter = ',',
        env = "CONCLAVE_ACME_DOMAIN"
    )]
    pub(crate) acme_domain: Vec<String>,
    /// You have read the authority's terms of service and agree to them; needed with --acme-domain
    #[arg(long, env = "CONCLAVE_ACME_AGREE_TOS")]
    pub(crate) acme_agree_tos: bool,
    /// Mail address that the authority may write to; may be given several times
    #[arg(long, value_name = "MAIL", value_delimiter = ',', env = "CONCLAVE_ACME_CONTACT")]
    pub(crate) acme_contact: Vec<String>,
    /// The authority's directory [default: https://acme-v02.api.letsencrypt.org/directory]
    #[arg(long, value_name = "URL", env = "CONCLAVE_ACME_DIRECTORY")]
    pub(crate) acme_directory: Option<String>,
    /// How names are proven: over port 443 of each, with TLS, or over port 80, without [default: tls-alpn-01]
    #[arg(long, value_name = "KIND", value_enum, env = "CONCLAVE_ACME_CHALLENGE")]
    pub(crate) acme_challenge: Option<ChallengeName>,
    /// Authorities, in PEM, that sign the directory's own certificate, in place of the system's
    #[arg(long, value_name = "FILE", env = "CONCLAVE_ACME_CA")]
    pub(crate) acme_ca: Option<PathBuf>,
    /// External account binding: the key's identifier, from the authority
    #[arg(
        long,
        value_name = "ID",
        requires = "acme_eab_key_file",
        env = "CONCLAVE_ACME_EAB_ID"
    )]
    pub(crate) acme_eab_id: Option<String>,
    /// External account binding: file with the key, in base64url as the authority gives it
    #[arg(
        long,
        value_name = "FILE",
        requires = "acme_eab_id",
        env = "CONCLAVE_ACME_EAB_KEY_FILE"
    )]
    pub(crate) acme_eab_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChallengeName {
    #[value(name = "tls-alpn-01")]
    TlsAlpn01,
    #[value(name = "http-01")]
    Http01,
}
