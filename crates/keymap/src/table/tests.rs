//! The table against an oracle: its own small rule language, evaluated without parser, index or normal form.

mod oracle;
mod references;
mod scenarios;
