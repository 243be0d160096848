//! A full descriptor table. Alone in its process, because the limit is the process's.

mod net_support;

use std::time::Duration;

use net_support::*;
use ringway::io::{AsyncReadExt, AsyncWriteExt};
use ringway::net::TcpStream;

/// Sets how many descriptors this process may have, and returns the limit before.
fn set_descriptor_limit(limit: u64) -> u64 {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limits` is valid for the write.
    let asked = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) };
    assert_eq!(asked, 0);
    let before = limits.rlim_cur;
    limits.rlim_cur = limit;
    // SAFETY: `limits` is valid for the read.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) };
    assert_eq!(set, 0);
    before
}

/// The lowest number that the next descriptor could have.
fn next_descriptor() -> u64 {
    use std::os::fd::AsRawFd;
    std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64
}

/// With no descriptor left, an accept fails if somebody has connected, and waits if nobody has. When there are
/// descriptors again, the connection is still there. Mutant: report the full table without looking at the queue.
#[test]
fn a_full_descriptor_table_loses_no_connection_and_does_not_spin() {
    on_two_workers(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let (mut client, mut server) = pair().await;

        let before = set_descriptor_limit(next_descriptor());
        let early = ringway::time::timeout(Duration::from_millis(20), listener.accept()).await;
        assert!(
            early.is_err(),
            "nobody has connected, yet accept said {early:?}"
        );
        set_descriptor_limit(before);

        let mut waiting = TcpStream::connect(address).await.unwrap();
        let before = set_descriptor_limit(next_descriptor());
        let refused = listener.accept().await.unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
        client.write_all(b"works").await.unwrap();
        let mut buffer = [0; 5];
        server.read_exact(&mut buffer).await.unwrap();
        set_descriptor_limit(before);

        let (mut accepted, _) = listener.accept().await.unwrap();
        accepted.write_all(b"!").await.unwrap();
        assert_eq!(waiting.read(&mut [0; 1]).await.unwrap(), 1);
    });
}
