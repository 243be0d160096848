//! tokio-util's codecs, over streams of ours.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use ringway::io::{AsyncRead, AsyncWrite};
use ringway::net::{UnixStream, unix};
use ringway_ecosystem_tests::{pair, within};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// Sends frames of many lengths, and hears them at the other end.
async fn send_frames<W, R>(writer: W, reader: R)
where
    W: AsyncWrite + Unpin + Send + 'static,
    R: AsyncRead + Unpin,
{
    let frames: Vec<Bytes> = (0..200_usize)
        .map(|at| Bytes::from(vec![at as u8; at * at]))
        .collect();
    let expected = frames.clone();
    let writing = ringway::spawn(async move {
        let mut sink = FramedWrite::new(writer, LengthDelimitedCodec::new());
        for frame in frames {
            sink.send(frame).await.unwrap();
        }
        SinkExt::<Bytes>::close(&mut sink).await.unwrap();
    });
    let heard = async {
        let mut stream = FramedRead::new(reader, LengthDelimitedCodec::new());
        for frame in expected {
            assert_eq!(stream.next().await.unwrap().unwrap(), frame);
        }
        assert!(stream.next().await.is_none());
    };
    within(heard).await;
    writing.await.unwrap();
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_arrive_over_tcp() {
    let (client, server) = pair().await;
    let (reader, writer) = server.into_split();
    send_frames(writer, client).await;
    drop(reader);
}

#[ringway::test]
async fn frames_arrive_over_unix_sockets() {
    let (one, other) = UnixStream::pair().unwrap();
    send_frames(one, other).await;
}

#[ringway::test]
async fn frames_arrive_over_pipes() {
    let (writer, reader) = unix::pipe::pipe().unwrap();
    send_frames(writer, reader).await;
}

#[ringway::test]
async fn frames_arrive_through_a_child() {
    use std::process::Stdio;

    let mut cat = ringway::process::Command::new("cat");
    let mut cat = cat
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    send_frames(cat.stdin.take().unwrap(), cat.stdout.take().unwrap()).await;
    assert!(cat.wait().await.unwrap().success());
}
