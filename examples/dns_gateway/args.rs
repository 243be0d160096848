//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::RangedU64ValueParser;

use crate::limits::Limits;

/// Answers DNS queries: out of its cache, from a zone of its own, or by asking an upstream.
///
/// By UDP and TCP. SIGUSR1 shows counters on standard error. Ctrl-C or SIGTERM stops it: what is in flight
/// is still answered, for 5 seconds; a second signal stops at once.
#[derive(Clone, Debug, Parser)]
#[command(name = "dns_gateway", version)]
pub(crate) struct Args {
    /// Address and port to answer at, more than once if need be. Name each address: answers of 0.0.0.0 may
    /// leave from another one than the query came to
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5353", value_parser = parse_address)]
    pub(crate) listen: Vec<SocketAddr>,

    /// Resolver to ask, more than once if need be: the next one is asked if one does not reply, and then stays the first
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "zone")]
    pub(crate) upstream: Vec<String>,

    /// Master file of a zone to answer for
    #[arg(long, value_name = "FILE")]
    pub(crate) zone: Option<PathBuf>,

    /// Worker threads [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// MiB of memory for the cache
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = counts(1 << 20))]
    pub(crate) cache_mib: u64,

    /// Queries in flight; packets beyond it are dropped, unless the answer is in the cache
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = counts(1 << 20))]
    pub(crate) max_in_flight: u64,

    /// Questions that upstreams are being asked, each of which takes a descriptor; others wait
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = counts(1 << 20))]
    pub(crate) max_upstream: u64,

    /// TCP clients at a time; more wait
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = counts(1 << 20))]
    pub(crate) max_clients: u64,

    /// Milliseconds for an upstream to reply, each of the three times that it is asked
    #[arg(long, value_name = "MS", default_value_t = 1_500, value_parser = milliseconds())]
    pub(crate) upstream_timeout_ms: u64,

    /// Milliseconds that a TCP client may be idle
    #[arg(long, value_name = "MS", default_value_t = 10_000, hide_short_help = true,
        value_parser = milliseconds())]
    pub(crate) idle_timeout_ms: u64,

    /// Milliseconds for what is in flight to be answered when the gateway stops
    #[arg(long, value_name = "MS", default_value_t = 5_000, hide_short_help = true,
        value_parser = milliseconds())]
    pub(crate) drain_timeout_ms: u64,

    /// Answer in a loop without a runtime, what the cache and the zone know: what the kernel takes
    #[arg(long, hide = true, requires = "zone")]
    pub(crate) bare: bool,
}

/// From a millisecond to a day: what a clock can add to any time.
fn milliseconds() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=86_400_000)
}

fn counts(most: u64) -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=most)
}

impl Args {
    pub(crate) fn limits(&self) -> Limits {
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            in_flight: count(self.max_in_flight),
            upstream: count(self.max_upstream),
            clients: count(self.max_clients),
            cache_bytes: self.cache_mib << 20,
            reply: Duration::from_millis(self.upstream_timeout_ms),
            idle: Duration::from_millis(self.idle_timeout_ms),
            drain: Duration::from_millis(self.drain_timeout_ms),
        }
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:5353 or [::1]:53".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["dns_gateway"], arguments].concat())
    }

    #[test]
    fn an_upstream_is_enough_and_so_is_a_zone() {
        let args = parse(&["--upstream", "resolver.example:53"]).expect("valid");
        assert_eq!(args.listen, [SocketAddr::from(([127, 0, 0, 1], 5353))]);
        assert_eq!(args.upstream, ["resolver.example:53"]);
        assert!(parse(&["--zone", "a.zone"]).is_ok());
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn addresses_and_upstreams_may_be_many() {
        let args = parse(&[
            "--listen",
            "127.0.0.1:0",
            "--listen",
            "[::1]:0",
            "--upstream",
            "a:1",
            "--upstream",
            "b:2",
        ]);
        let args = args.expect("valid");
        assert_eq!((args.listen.len(), args.upstream.len()), (2, 2));
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            ["--workers", "0"],
            ["--listen", "localhost"],
            ["--cache-mib", "0"],
            ["--max-in-flight", "0"],
            ["--upstream-timeout-ms", "0"],
            ["--drain-timeout-ms", "18446744073709551615"],
        ] {
            let arguments = [&["--upstream", "a:1"][..], &arguments].concat();
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
    }
}
