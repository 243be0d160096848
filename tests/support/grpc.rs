//! A service of gRPC whose messages are texts, with a codec of its own, so that nobody has to compile prost's; and a client
//! that calls each kind of method. Shared by the tests with and without a runtime of tokio's.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut};
use futures_util::future::join_all;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use ringway::sync::mpsc;
use tonic::body::Body;
use tonic::client;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::codegen::http::{self, uri::PathAndQuery};
use tonic::server::{self, NamedService};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tower::service_fn;

/// Messages of a stream.
const MESSAGES: usize = 1_000;
/// Calls at once over one connection.
const CALLS: usize = 100;
/// Less than tonic's limit of 4 MiB, more than HTTP/2's window.
const LARGE: usize = 3 << 20;

/// UTF-8 as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, target: &mut EncodeBuf<'_>) -> Result<(), Status> {
        target.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        let text = String::from_utf8(bytes.to_vec());
        text.map(Some)
            .map_err(|error| Status::invalid_argument(error.to_string()))
    }
}

/// The service: it echoes, counts, joins and answers, one method for each kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words;

impl NamedService for Words {
    const NAME: &'static str = "test.Words";
}

impl Service<http::Request<Body>> for Words {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = server::Grpc::new(Text);
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/test.Words/Echo" => grpc.unary(service_fn(echo), request).await,
                "/test.Words/Count" => grpc.server_streaming(service_fn(count), request).await,
                "/test.Words/Join" => grpc.client_streaming(service_fn(join), request).await,
                "/test.Words/Answer" => grpc.streaming(service_fn(answer), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

type Outcome<T> = Result<Response<T>, Status>;

async fn echo(request: Request<String>) -> Outcome<String> {
    match request.into_inner().as_str() {
        "" => Err(Status::invalid_argument("nothing to say")),
        "wait" => std::future::pending().await,
        text => Ok(Response::new(text.to_owned())),
    }
}

async fn count(request: Request<String>) -> Outcome<BoxStream<'static, Result<String, Status>>> {
    let end = request.into_inner().parse::<usize>();
    let end = end.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let numbers = stream::iter(0..end).map(|number| Ok(number.to_string()));
    Ok(Response::new(numbers.boxed()))
}

async fn join(request: Request<Streaming<String>>) -> Outcome<String> {
    let words: Vec<String> = request.into_inner().try_collect().await?;
    Ok(Response::new(words.concat()))
}

async fn answer(
    request: Request<Streaming<String>>,
) -> Outcome<BoxStream<'static, Result<String, Status>>> {
    let answers = request.into_inner().map_ok(|word| format!("{word}!"));
    Ok(Response::new(answers.boxed()))
}

/// A client of the service.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    grpc: client::Grpc<Channel>,
}

impl Caller {
    pub(crate) fn new(channel: Channel) -> Self {
        let grpc = client::Grpc::new(channel);
        Self { grpc }
    }

    async fn ready(&mut self) {
        self.grpc.ready().await.expect("a connection");
    }

    pub(crate) async fn echo(&mut self, request: Request<String>) -> Result<String, Status> {
        self.ready().await;
        let path = PathAndQuery::from_static("/test.Words/Echo");
        let response = self.grpc.unary(request, path, Text).await?;
        Ok(response.into_inner())
    }

    async fn count(&mut self, end: &str) -> Result<Streaming<String>, Status> {
        self.ready().await;
        let path = PathAndQuery::from_static("/test.Words/Count");
        let request = Request::new(end.to_owned());
        let response = self.grpc.server_streaming(request, path, Text).await?;
        Ok(response.into_inner())
    }

    /// Calls a method of each kind, with large messages, and many at once.
    pub(crate) async fn call_everything(mut self) {
        for text in ["hello".to_owned(), "x".repeat(LARGE)] {
            assert!(self.echo(Request::new(text.clone())).await.unwrap() == text);
        }
        let refused = self.echo(Request::new(String::new())).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(refused.message(), "nothing to say");

        let numbers = self.count(&MESSAGES.to_string()).await.unwrap();
        let numbers: Vec<String> = numbers.try_collect().await.unwrap();
        assert!(numbers.iter().eq(&numbered("")));
        let refused = self.count("many").await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);

        self.ready().await;
        let path = PathAndQuery::from_static("/test.Words/Join");
        let words = Request::new(stream::iter(numbered(" ")));
        let joined = self.grpc.client_streaming(words, path, Text).await;
        let joined: String = joined.unwrap().into_inner();
        assert_eq!(joined, numbered(" ").concat());

        self.talk().await;
        let calls = (0..CALLS).map(|number| {
            let mut caller = self.clone();
            async move {
                let text = format!("{number}");
                assert_eq!(caller.echo(Request::new(text.clone())).await.unwrap(), text);
            }
        });
        join_all(calls).await;
    }

    /// Says a word when the one before it has been answered.
    async fn talk(&mut self) {
        self.ready().await;
        let path = PathAndQuery::from_static("/test.Words/Answer");
        let (say, words) = mpsc::channel(1);
        let words = stream::unfold(words, |mut words| async {
            let word = words.recv().await?;
            Some((word, words))
        });
        let answers = self.grpc.streaming(Request::new(words), path, Text).await;
        let mut answers: Streaming<String> = answers.unwrap().into_inner();
        for word in numbered("") {
            say.send(word.clone()).await.unwrap();
            let answer = answers.message().await.unwrap();
            assert_eq!(answer, Some(format!("{word}!")));
        }
        drop(say);
        assert_eq!(answers.message().await.unwrap(), None);
    }
}

/// Numbers as words.
fn numbered(end: &str) -> Vec<String> {
    (0..MESSAGES)
        .map(|number| format!("{number}{end}"))
        .collect()
}
