//! hickory's resolver, by `ringway::hickory::Provider` and without a runtime of tokio's.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::{RuntimeProvider, Time};
use ringway::hickory::{Clock, Provider};
use ringway::net::TcpListener;
use ringway::task::JoinSet;
use ringway::time::Instant;
use ringway_ecosystem_tests::{WATCHDOG, within};
use socket2::{Domain, Socket, Type};

use upstream::{Asked, Upstream};

#[path = "../../support/upstream.rs"]
mod upstream;

/// What a name's address has for its first two bytes.
const NETWORK: [u8; 2] = [10, 7];

/// A resolver that asks `server` in these ways.
fn resolver(
    server: SocketAddr,
    ways: Vec<ConnectionConfig>,
    change: impl FnOnce(&mut ResolverOpts),
) -> Resolver<Provider> {
    let ways = ways.into_iter().map(|mut way| {
        way.port = server.port();
        way
    });
    let server = NameServerConfig::new(server.ip(), true, ways.collect());
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut builder = Resolver::builder_with_config(config, Provider::new());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    change(options);
    builder.build().expect("a resolver")
}

fn udp_and_tcp() -> Vec<ConnectionConfig> {
    vec![ConnectionConfig::udp(), ConnectionConfig::tcp()]
}

async fn address(resolver: &Resolver<Provider>, name: &str) -> IpAddr {
    let found = resolver.lookup_ip(name).await.expect("an answer");
    found.iter().next().expect("an address")
}

/// The address of `hostN.test.`, in whose last two bytes is N.
fn host(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(NETWORK[0], NETWORK[1], high, low).into()
}

fn reply_of_host(asked: &Asked) -> Vec<Message> {
    let name = asked.message.queries[0].name().clone();
    let label = name.iter().next().expect("a label");
    let number = label.iter().filter(|byte| byte.is_ascii_digit());
    let number = number.fold(0, |number, digit| number * 10 + u16::from(digit - b'0'));
    let IpAddr::V4(address) = host(number) else {
        unreachable!("it is one of IPv4")
    };
    let mut reply = asked.reply();
    reply.add_answer(Record::from_rdata(name, 300, RData::A(A(address))));
    vec![reply]
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_asked_for_once_while_its_answer_lives() {
    within(async {
        let upstream = Upstream::start(reply_of_host);
        let resolver = resolver(upstream.address, udp_and_tcp(), |_| {});
        for _ in 0..3 {
            assert_eq!(address(&resolver, "host258.test.").await, host(258));
        }
        let asked = upstream.asked();
        assert!(asked.iter().all(|asked| !asked.by_tcp));
        let of_ipv4 = asked
            .iter()
            .filter(|asked| asked.message.queries[0].query_type().to_string() == "A");
        assert_eq!(of_ipv4.count(), 1);
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_cut_off_is_asked_for_by_tcp() {
    within(async {
        let upstream = Upstream::start(|asked| {
            if asked.by_tcp {
                return vec![asked.address(300)];
            }
            let mut cut_off = asked.reply();
            cut_off.metadata.truncation = true;
            vec![cut_off]
        });
        let resolver = resolver(upstream.address, udp_and_tcp(), |_| {});
        let found = address(&resolver, "long.test.").await;
        assert_eq!(found, Ipv4Addr::new(192, 0, 2, 1));
        let asked = upstream.asked();
        assert!(asked.iter().any(|asked| !asked.by_tcp));
        assert!(asked.iter().any(|asked| asked.by_tcp));
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_asked_for_by_tcp_alone() {
    within(async {
        let upstream = Upstream::start(reply_of_host);
        let resolver = resolver(upstream.address, vec![ConnectionConfig::tcp()], |_| {});
        for number in 0..5 {
            let name = format!("host{number}.test.");
            assert_eq!(address(&resolver, &name).await, host(number));
        }
        assert!(upstream.count() >= 5);
        assert!(upstream.asked().iter().all(|asked| asked.by_tcp));
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hundred_names_are_asked_for_at_once() {
    within(async {
        let upstream = Upstream::start(reply_of_host);
        let resolver = resolver(upstream.address, udp_and_tcp(), |_| {});
        let mut lookups = JoinSet::new();
        for number in 0..300 {
            let resolver = resolver.clone();
            lookups.spawn(async move {
                let name = format!("host{number}.test.");
                assert_eq!(address(&resolver, &name).await, host(number));
            });
        }
        assert_eq!(lookups.join_all().await.len(), 300);
        // Each question from a port of its own, so that answers are hard to forge.
        let ports = upstream.asked().into_iter().map(|asked| asked.source);
        let ports: HashSet<_> = ports.collect();
        assert!(ports.len() > 100, "{} ports", ports.len());
    })
    .await;
}

/// The timeouts follow the runtime's clock. Mutant: a sleep of the thread as `Clock::delay_for`, or none.
#[ringway::test]
async fn a_server_that_says_nothing_is_given_up_after_the_timeout() {
    let upstream = Upstream::start(|_| Vec::new());
    let patience = Duration::from_secs(300);
    let resolver = resolver(upstream.address, vec![ConnectionConfig::udp()], |options| {
        options.timeout = patience;
        options.attempts = 1;
    });
    ringway::time::pause();
    let (begun, really_begun) = (Instant::now(), std::time::Instant::now());
    let error = resolver.lookup_ip("silent.test.").await;
    let error = error.expect_err("nobody answers");
    assert!(error.to_string().contains("timed out"), "{error}");
    assert!(begun.elapsed() >= patience);
    assert!(really_begun.elapsed() < WATCHDOG);
}

/// A server's machine that takes no more connections says nothing. Mutants: `connect_tcp` waits as long as it takes, or as
/// long as it does when it is told nothing; `Clock::timeout` tells of another kind of error.
#[ringway::test]
async fn a_connection_that_nobody_takes_is_given_up_after_its_timeout() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&any.into()).expect("a port");
    listener.listen(0).expect("it listens");
    let server = listener.local_addr().expect("an address");
    let server = server.as_socket().expect("an address");
    let waiting = [(); 4].map(|()| {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        client.set_nonblocking(true).expect("an option");
        // The first of them fills the queue.
        let _ = client.connect(&server.into());
        client
    });
    ringway::time::pause();
    for (asked, given) in [(None, 5), (Some(300), 300)] {
        let begun = Instant::now();
        let patience = asked.map(Duration::from_secs);
        let connected = Provider::new().connect_tcp(server, None, patience).await;
        let error = connected.expect_err("nobody takes it");
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let (least, elapsed) = (Duration::from_secs(given), begun.elapsed());
        assert!(elapsed >= least && elapsed < 2 * least, "{elapsed:?}");
    }
    let silence = std::future::pending::<()>();
    let error = Clock::timeout(Duration::from_secs(300), silence).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    drop(waiting);
}

/// Mutant: no `bind` in `connect`.
#[ringway::test]
async fn a_connection_comes_from_the_address_that_it_is_told() {
    within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let server = listener.local_addr().expect("an address");
        let local = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
        let connecting = Provider::new().connect_tcp(server, Some(local), None);
        let (connected, accepted) = ringway::join!(connecting, listener.accept());
        let _stream = connected.expect("a connection");
        let (_, peer) = accepted.expect("a connection");
        assert_eq!(peer.ip(), local.ip());
    })
    .await;
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_lost_is_asked_again() {
    within(async {
        let count = AtomicUsize::new(0);
        let upstream = Upstream::start(move |asked| match count.fetch_add(1, Relaxed) {
            0..=1 => Vec::new(),
            _ => vec![asked.address(300)],
        });
        let resolver = resolver(upstream.address, vec![ConnectionConfig::udp()], |options| {
            options.timeout = Duration::from_millis(500);
            options.attempts = 8;
        });
        let found = address(&resolver, "lost.test.").await;
        assert_eq!(found, Ipv4Addr::new(192, 0, 2, 1));
        assert!(upstream.count() > 2);
    })
    .await;
}
