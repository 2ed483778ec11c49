//! A bare HTTP server that has the exchanges of an ACS with simulated devices and does nothing for
//! them: it challenges once a session, and answers each POST with a text that was written before.
//! Its answers are as long as the server's. A process of its own, so that its cost can be told apart.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use cwmp::auth::digest::{Algorithm, Server as Digest};
use cwmp::rpc::{GetParameterValues, InformResponse, Request as Rpc, Response as RpcResponse};
use cwmp::soap::{self, Body, Booleans, CONTENT_TYPE, Envelope};
use cwmp::version::Version;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rig::Fault;
use tokio::net::TcpListener;

/// The bare server.
pub struct Echo {
    child: Child,
    address: String,
}

impl Echo {
    /// Starts this program again as the bare server; it reads 40 parameters of each device, or
    /// nothing.
    pub fn start(read: bool) -> Result<Echo, Fault> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("echo")
            .env(READS, if read { "yes" } else { "" })
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().ok_or("no output")?;
        let mut address = String::new();
        BufReader::new(out).read_line(&mut address)?;
        let address = address.trim().to_owned();
        Ok(Echo { child, address })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const READS: &str = "BENCH_ECHO_READS";

/// What is answered.
struct Answers {
    challenge: String,
    informed: Bytes,
    read: Option<Bytes>,
}

/// Serves until it is killed.
pub async fn serve() -> Result<(), Fault> {
    let reads = std::env::var(READS).is_ok_and(|wanted| !wanted.is_empty());
    let digest = Digest {
        realm: "headend".into(),
        algorithms: vec![Algorithm::Md5],
        qop: true,
        secret: b"echo".into(),
        life: 300,
    };
    let write = |body: Body| {
        let envelope = Envelope::new(Version::V1_4.namespace(), "", body);
        Bytes::from(soap::encode(&envelope, Booleans::Words))
    };
    let informed: RpcResponse = InformResponse { max_envelopes: 1 }.into();
    let names = crate::paths();
    let names = names
        .iter()
        .filter_map(|path| path.as_str().map(str::to_owned));
    let read: Rpc = GetParameterValues {
        names: names.collect(),
    }
    .into();
    let answers = Arc::new(Answers {
        challenge: digest.challenges(1, 1, false).remove(0),
        informed: write(informed.into()),
        read: reads.then(|| write(read.into())),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        let service = service_fn(move |request| answer(answers.clone(), request));
        let serving = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { drop(serving.await) });
    }
}

async fn answer(
    answers: Arc<Answers>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let known = request.headers().contains_key("authorization");
    let body = request.into_body().collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let answer = Response::builder().header("content-type", CONTENT_TYPE);
    let answer = match (known, body.is_empty(), &answers.read) {
        (false, ..) => answer
            .status(401)
            .header("www-authenticate", &answers.challenge)
            .body(Full::default()),
        // The ACS's turn: its question, or nothing.
        (true, true, Some(read)) => answer.body(Full::new(read.clone())),
        (true, true, None) => answer.status(204).body(Full::default()),
        // An Inform begins with its head; what else comes is the answer to the question.
        (true, false, _) if is_inform(&body) => answer
            .header(
                "set-cookie",
                "session=0123456789abcdef0123456789abcdef; Path=/",
            )
            .body(Full::new(answers.informed.clone())),
        (true, false, _) => answer.status(204).body(Full::default()),
    };
    Ok(answer.unwrap_or_default())
}

fn is_inform(body: &[u8]) -> bool {
    let head = &body[..body.len().min(1024)];
    head.windows(13).any(|part| part == b"<cwmp:Inform>")
}
