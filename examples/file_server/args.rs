//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::{RangedI64ValueParser, RangedU64ValueParser};

use crate::limits::{
    CONNECTIONS_DEFAULT, CONNECTIONS_PER_ADDRESS_DEFAULT, CacheLimits, HEAD_BYTES_DEFAULT,
    HEAD_FIELDS_CAP, HEAD_FIELDS_DEFAULT, HeadLimits, Limits, PIPELINED_BYTES_DEFAULT,
    RANGES_MAX_CAP, RANGES_MAX_DEFAULT, RECEIVED_BYTES_CAP, TARGET_BYTES_DEFAULT,
    UNSENT_MIB_DEFAULT,
};
use crate::policy::{Policy, Symlinks, parse_field_value};

/// Serves the files of a directory over HTTP.
///
/// GET and HEAD, ranges, conditional requests, index.html, and listings of directories. Nothing
/// outside the directory can be read, whatever path or symlink leads there. Ctrl-C or SIGTERM stops
/// it gracefully: running downloads get 10 seconds; a second signal stops at once. Sockets that systemd hands over, of TCP or
/// Unix sockets, take the place of --addr.
#[derive(Clone, Debug, Parser)]
#[command(name = "file_server", version)]
pub(crate) struct Args {
    /// The directory to serve
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) directory: PathBuf,

    /// Address and port to listen on: 0.0.0.0 or [::] for every network, port 0 for any free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080",
        value_parser = parse_address)]
    pub(crate) addr: SocketAddr,

    /// Speak HTTPS, with the certificate and its chain in this file (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM, not encrypted)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// Connections served at a time; more wait
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS_DEFAULT,
        value_parser = count(1_000_000))]
    pub(crate) max_connections: u32,

    /// Connections of one address at a time, or of one IPv6 network of 2^64; more get a 503
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS_PER_ADDRESS_DEFAULT,
        hide_short_help = true, value_parser = count(1_000_000))]
    pub(crate) max_connections_per_address: u32,

    /// Which symbolic links are followed
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Symlinks::Within)]
    pub(crate) symlinks: Symlinks,

    /// Send name.br, name.zst or name.gz in place of a file to clients that take it compressed
    ///
    /// Such a file has to be at least as new as the one that it stands for. Nothing is compressed by
    /// the server itself.
    #[arg(long)]
    pub(crate) precompressed: bool,

    /// Value of the Cache-Control field of files, such as "public, max-age=3600" [default: none]
    #[arg(long, value_name = "VALUE", value_parser = parse_field_value)]
    pub(crate) cache_control: Option<String>,

    /// Milliseconds for which a file is served as it was found, before it is looked for again; 0
    /// looks each time
    #[arg(long, value_name = "MS", default_value_t = 1_000,
        value_parser = RangedU64ValueParser::<u64>::new().range(0..=86_400_000))]
    pub(crate) cache_ms: u64,

    /// Mebibytes of memory for the content of small files
    #[arg(long, value_name = "MIB", default_value_t = 24, hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) cache_mib: u32,

    /// Descriptors of files that are kept open; fewer where the system allows fewer
    #[arg(long, value_name = "N", default_value_t = 12_288, hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(8..=1_000_000))]
    pub(crate) cache_descriptors: u32,

    /// Do not write the access log to standard output
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Ranges of one request that are honoured; a request for more gets the whole file
    #[arg(
        long,
        value_name = "N",
        default_value_t = RANGES_MAX_DEFAULT,
        hide_short_help = true,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(RANGES_MAX_CAP))
    )]
    pub(crate) max_ranges: u32,

    /// Bytes of a request's head; a longer one gets a 431
    #[arg(long, value_name = "BYTES", default_value_t = HEAD_BYTES_DEFAULT,
        hide_short_help = true, value_parser = count(RECEIVED_BYTES_CAP))]
    pub(crate) max_head_bytes: u32,

    /// Fields of a request's head; more get a 431
    #[arg(long, value_name = "N", default_value_t = HEAD_FIELDS_DEFAULT,
        hide_short_help = true, value_parser = count(HEAD_FIELDS_CAP as u32))]
    pub(crate) max_head_fields: u32,

    /// Bytes of a request's target; a longer one gets a 414
    #[arg(long, value_name = "BYTES", default_value_t = TARGET_BYTES_DEFAULT,
        hide_short_help = true, value_parser = count(RECEIVED_BYTES_CAP))]
    pub(crate) max_target_bytes: u32,

    /// Bytes of pipelined requests that a connection holds; more wait in the kernel
    #[arg(long, value_name = "BYTES", default_value_t = PIPELINED_BYTES_DEFAULT,
        hide_short_help = true, value_parser = count(RECEIVED_BYTES_CAP))]
    pub(crate) max_pipelined_bytes: u32,

    /// Mebibytes of responses that the kernel holds for clients that do not read
    #[arg(long, value_name = "MIB", default_value_t = UNSENT_MIB_DEFAULT,
        hide_short_help = true, value_parser = count(1_000_000))]
    pub(crate) max_unsent_mib: u32,

    /// Milliseconds for a request's head to arrive
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 10_000,
        hide_short_help = true,
        value_parser = milliseconds()
    )]
    pub(crate) head_timeout_ms: u64,

    /// Milliseconds that a connection may wait between two requests
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 60_000,
        hide_short_help = true,
        value_parser = milliseconds()
    )]
    pub(crate) idle_timeout_ms: u64,

    /// Milliseconds for 256 KiB of a response to leave
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 30_000,
        hide_short_help = true,
        value_parser = milliseconds()
    )]
    pub(crate) stall_timeout_ms: u64,

    /// Show what the runtime is doing on a page of its own at this address [default: none]
    ///
    /// Workers, queues, rings, blocked tasks, requests and their times, once a second, at /; one reading as JSON at
    /// /sample. Whoever reaches the address sees it.
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_address)]
    pub(crate) status: Option<SocketAddr>,

    /// Let --status listen on addresses that other machines reach
    #[arg(long, hide_short_help = true)]
    pub(crate) status_anywhere: bool,

    /// Milliseconds for running responses to finish when the server stops
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 10_000,
        hide_short_help = true,
        value_parser = milliseconds()
    )]
    pub(crate) drain_timeout_ms: u64,
}

/// From a millisecond to a day: what a clock can add to any time.
fn milliseconds() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=86_400_000)
}

/// From one to `max`.
fn count(max: u32) -> RangedI64ValueParser<u32> {
    RangedI64ValueParser::new().range(1..=i64::from(max))
}

impl Args {
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            symlinks: self.symlinks,
            precompressed: self.precompressed,
            cache_control: self.cache_control.clone(),
            ranges_max: self.max_ranges as usize,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits {
            cache: CacheLimits {
                time: Duration::from_millis(self.cache_ms),
                bytes: u64::from(self.cache_mib) << 20,
                descriptors: u64::from(self.cache_descriptors),
            },
            head: Duration::from_millis(self.head_timeout_ms),
            idle: Duration::from_millis(self.idle_timeout_ms),
            stall: Duration::from_millis(self.stall_timeout_ms),
            drain: Duration::from_millis(self.drain_timeout_ms),
            connections: self.max_connections as usize,
            transfers: None,
            unsent_bytes: u64::from(self.max_unsent_mib) << 20,
            connections_per_address: self.max_connections_per_address,
            head_size: HeadLimits {
                bytes: self.max_head_bytes as usize,
                fields: self.max_head_fields as usize,
                target_bytes: self.max_target_bytes as usize,
            },
            pipelined_bytes: self.max_pipelined_bytes.max(self.max_head_bytes) as usize,
        }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:80 or [::1]:8080"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["file_server"], arguments].concat())
    }

    #[test]
    fn without_arguments_the_current_directory_is_served_to_this_machine() {
        let args = parse(&[]).expect("valid");
        assert_eq!(args.directory, PathBuf::from("."));
        assert_eq!(args.addr, SocketAddr::from(([127, 0, 0, 1], 8080)));
        assert_eq!((args.workers, args.quiet), (None, false));
        let limits = args.limits();
        assert_eq!((limits.head.as_secs(), limits.idle.as_secs()), (10, 60));
        assert_eq!((limits.drain.as_secs(), limits.connections), (10, 1024));
        assert_eq!(limits.connections_per_address, 512);
        let head = limits.head_size;
        assert_eq!(
            (head.bytes, head.fields, head.target_bytes),
            (16_384, 100, 8_192)
        );
        assert_eq!(limits.pipelined_bytes, 16_384);
    }

    #[test]
    fn everything_can_be_said() {
        let args =
            parse(&["/srv", "--addr", "[::1]:0", "--workers", "3", "--quiet"]).expect("valid");
        assert_eq!(args.directory, PathBuf::from("/srv"));
        assert_eq!(args.addr.to_string(), "[::1]:0");
        assert_eq!((args.workers, args.quiet), (Some(3), true));
    }

    #[test]
    fn nonsense_is_refused_with_what_is_expected() {
        for arguments in [
            ["--workers", "0"],
            ["--workers", "many"],
            ["--max-connections", "0"],
            ["--max-connections-per-address", "0"],
            ["--max-head-fields", "257"],
            ["--max-head-bytes", "1048577"],
            ["--max-ranges", "-1"],
            ["--symlinks", "some"],
            ["--cache-control", "a\r\nb"],
            ["--cache-control", " "],
            ["--head-timeout-ms", "0"],
            ["--drain-timeout-ms", "18446744073709551615"],
            ["--addr", "localhost"],
            ["--addr", "127.0.0.1"],
            ["--addr", "127.0.0.1:99999"],
            ["--tls-cert", "certificate.pem"],
            ["--tls-key", "key.pem"],
            ["a", "b"],
        ] {
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
        let error = parse(&["--addr", ":80"])
            .expect_err("no address")
            .to_string();
        assert!(error.contains("such as 127.0.0.1:8080"), "{error}");
    }
}
