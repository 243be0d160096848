//! The example `file_server`, seen from the wire.
//!
//! Each test starts the built example on a free port, serves a folder of its own, and speaks raw
//! HTTP to it through the sockets of std: what is tested is what a client sees, and nothing here
//! depends on ringway but the server itself.

mod cache;
mod changes;
mod codings;
mod conditions;
mod connections;
mod files;
mod large_listing;
mod lifecycle;
mod limits;
mod lingering;
mod listing;
mod log;
mod notices;
mod paths;
mod slow;
mod startup;
mod status;
mod statuses;
mod support;
mod systemd;
mod timeouts;
mod unix_sockets;
