//! The registry and the proxy as a client sees them, over a plain socket.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{find, line};
use super::*;

const UPLOADS: &str = "/v2/a/b/blobs/uploads/";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn header(&self, name: &str) -> &str {
        find(&self.headers, name).unwrap_or("")
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, text: &str, body: &[u8]) {
        let mut bytes = text.replace('\n', "\r\n").into_bytes();
        bytes.extend(b"\r\n\r\n");
        bytes.extend(body);
        // A registry that has closed the connection already has perhaps answered.
        let _ = self.0.get_mut().write_all(&bytes);
    }

    /// The next answer, none if the connection ends before it does.
    fn reply(&mut self, head_only: bool) -> Option<Reply> {
        let first = line(&mut self.0).ok().flatten()?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        while let Some((name, value)) = line(&mut self.0).ok()??.split_once(": ") {
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length: usize = find(&headers, "content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; if head_only { 0 } else { length }];
        self.0.read_exact(&mut body).ok()?;
        Some(Reply { status, headers, body })
    }

    fn request(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> Option<Reply> {
        let length = if method == "GET" { String::new() } else { format!("\nContent-Length: {}", body.len()) };
        self.send(&format!("{method} {target} HTTP/1.1\nHost: test{headers}{length}"), body);
        self.reply(method == "HEAD")
    }
}

/// One request on a connection of its own.
fn request(registry: &Registry, method: &str, target: &str, headers: &str, body: &[u8]) -> Reply {
    Client::new(registry.address()).request(method, target, headers, body).unwrap()
}

#[test]
fn an_upload_goes_on_after_a_broken_connection() {
    let registry = Registry::start();
    let blob: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let digest = Digest::of(&blob);
    let mut client = Client::new(registry.address());
    let begun = client.request("POST", UPLOADS, "", b"").unwrap();
    assert_eq!((begun.status, begun.header("range")), (202, "0-0"));
    let chunk =
        client.request("PATCH", begun.header("location"), "\nContent-Range: 0-99999", &blob[..100_000]).unwrap();
    assert_eq!((chunk.status, chunk.header("range")), (202, "0-99999"));

    registry.fail(Rule::on("PATCH", UPLOADS).drop_after_request_bytes(70_000));
    let headers = "\nContent-Range: 100000-299999";
    assert!(client.request("PATCH", chunk.header("location"), headers, &blob[100_000..]).is_none());
    let wrong = request(&registry, "PATCH", chunk.header("location"), headers, &blob[100_000..]);
    assert_eq!((wrong.status, wrong.header("range")), (416, "0-169999"));

    let mut client = Client::new(registry.address());
    let state = client.request("GET", begun.header("location"), "", b"").unwrap();
    assert_eq!((state.status, state.header("range")), (204, "0-169999"));
    let last = format!("{}&digest={}", state.header("location"), digest.to_string().replace(':', "%3A"));
    let headers = "\nContent-Range: 170000-299999\nExpect: 100-continue\nContent-Length: 130000";
    client.send(&format!("PUT {last} HTTP/1.1{headers}"), b"");
    assert_eq!(client.reply(false).unwrap().status, 100);
    client.0.get_mut().write_all(&blob[170_000..]).unwrap();
    assert_eq!(client.reply(false).unwrap().status, 201);
    assert_eq!(registry.blob("a/b", &digest), Some(blob));
    assert_eq!(registry.open_uploads(), 0);
    let requests = registry.requests();
    let seen: Vec<_> = requests.iter().map(|request| (&*request.method, request.status, request.body_bytes)).collect();
    let patches = [("PATCH", 202, 100_000), ("PATCH", 0, 70_000), ("PATCH", 416, 0)];
    assert_eq!(seen[1..4], patches);
    assert_eq!(seen[5], ("PUT", 201, 130_000));
}

#[test]
fn chunked_bodies_and_wrong_digests() {
    let registry = Registry::start();
    let location = request(&registry, "POST", UPLOADS, "", b"").header("location").to_owned();
    let mut client = Client::new(registry.address());
    let chunks = b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    client.send(&format!("PATCH {location} HTTP/1.1\nTransfer-Encoding: chunked"), chunks);
    let reply = client.reply(false).unwrap();
    assert_eq!((reply.status, reply.header("range")), (202, "0-10"));
    let location = reply.header("location");
    let wrong = client.request("PUT", &format!("{location}&digest={}", Digest::of(b"other")), "", b"").unwrap();
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "DIGEST_INVALID"));
    let gone = client.request("GET", location, "", b"").unwrap();
    assert_eq!((gone.status, gone.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
}

#[test]
fn a_large_body_is_refused_before_it_is_sent() {
    let registry = Registry::builder().max_body(10).start();
    let location = request(&registry, "POST", UPLOADS, "", b"").header("location").to_owned();
    let mut client = Client::new(registry.address());
    client.send(&format!("PATCH {location} HTTP/1.1\nExpect: 100-continue\nContent-Length: 11"), b"");
    let refused = client.reply(false).unwrap();
    assert_eq!((refused.status, refused.header("connection")), (413, "close"));
    let mut client = Client::new(registry.address());
    let headers = "Transfer-Encoding: chunked";
    client.send(&format!("PATCH {location} HTTP/1.1\n{headers}"), b"8\r\n12345678\r\n8\r\n12345678\r\n0\r\n\r\n");
    assert_eq!(client.reply(false).unwrap().status, 413);
    assert_eq!(request(&registry, "GET", &location, "", b"").header("range"), "0-0");
    assert_eq!(request(&registry, "PATCH", &location, "", b"0123456789").status, 202);
}

#[test]
fn tokens_grant_what_was_asked_for_and_end() {
    let options = TokenOptions { uses: Some(2), refresh_token: Some("again".to_owned()), ..TokenOptions::default() };
    let registry = Registry::builder().tokens(options).several_challenges().start();
    let blob = registry.put_blob("from", b"blob");
    let mount = format!("{UPLOADS}?mount={blob}&from=from");
    let refused = request(&registry, "POST", &mount, "", b"");
    assert_eq!(refused.status, 401);
    let challenges: Vec<&str> = refused
        .headers
        .iter()
        .filter(|(name, _)| name == "www-authenticate")
        .map(|(_, value)| value.as_str())
        .collect();
    let host = registry.host();
    let scope = "repository:a/b:pull,push repository:from:pull";
    let bearer = format!("Bearer realm=\"http://{host}/token\",service=\"test\",scope=\"{scope}\"");
    assert_eq!(challenges, [r#"Negotiate, Basic realm="test, \"really\"", charset="UTF-8""#, &bearer]);

    let get = |scope: &str, headers: &str| {
        let reply = request(&registry, "GET", &format!("/token?service=test{scope}"), headers, b"");
        format!("\nAuthorization: Bearer {}", reply.json()["token"].as_str().unwrap_or_default())
    };
    let user = "\nAuthorization: Basic dXNlcjpwYXNzd29yZA==";
    let both = "&scope=repository:a/b:pull,push&scope=repository:from:pull";
    let anonymous = request(&registry, "POST", &mount, &get(both, ""), b"");
    assert!(anonymous.headers.iter().any(|(_, value)| value.ends_with("error=\"insufficient_scope\"")));
    let narrow = get("&scope=repository:a/b:pull,push", user);
    assert_eq!(request(&registry, "POST", &mount, &narrow, b"").status, 401);
    assert_eq!(request(&registry, "POST", UPLOADS, &narrow, b"").status, 202);
    assert_eq!(request(&registry, "POST", UPLOADS, &narrow, b"").status, 401);
    assert_eq!(request(&registry, "POST", &mount, &get(both, user), b"").status, 201);

    let form = "service=test&grant_type=refresh_token&refresh_token=again&scope=repository%3Aa%2Fb%3Apull+x";
    let token = request(&registry, "POST", "/token", "", form.as_bytes()).json();
    let header = format!("\nAuthorization: Bearer {}", token["access_token"].as_str().unwrap());
    assert_eq!(request(&registry, "HEAD", &format!("/v2/a/b/blobs/{blob}"), &header, b"").status, 200);
    let wrong = request(&registry, "GET", "/token?service=test", "\nAuthorization: Basic eDp5", b"");
    assert_eq!(wrong.status, 401);
}

#[test]
fn manifests_need_what_they_refer_to() {
    let registry = Registry::builder().immutable_tags().page_size(1).start();
    let config = registry.put_blob("a/b", b"{}");
    let descriptor = |digest: &Digest| json!({ "mediaType": "x/y", "digest": digest, "size": 2 });
    let missing = Digest::of(b"[]");
    let subject = json!({ "config": descriptor(&missing) }).to_string();
    let refused = request(&registry, "PUT", "/v2/a/b/manifests/v1", "\nContent-Type: x/m", subject.as_bytes());
    assert_eq!((refused.status, refused.code().as_str()), (400, "MANIFEST_BLOB_UNKNOWN"));
    for kind in ["x/1", "x/2"] {
        let about = json!({ "artifactType": kind, "config": descriptor(&config), "subject": descriptor(&missing) });
        let headers = format!("\nContent-Type: {MANIFEST}");
        let target = format!("/v2/a/b/manifests/{}", kind.replace('/', "-"));
        let put = request(&registry, "PUT", &target, &headers, about.to_string().as_bytes());
        assert_eq!((put.status, put.header("oci-subject")), (201, &*missing.to_string()));
        let again = request(&registry, "PUT", &target, &headers, about.to_string().as_bytes());
        assert_eq!((again.status, again.code().as_str()), (400, "DENIED"));
        let listed = request(&registry, "GET", &format!("/v2/a/b/referrers/{missing}?artifactType={kind}"), "", b"");
        assert_eq!(listed.json()["manifests"][0]["digest"], json!(put.header("docker-content-digest")));
        assert_eq!(listed.header("oci-filters-applied"), "artifactType");
    }
    let referrers = request(&registry, "GET", &format!("/v2/a/b/referrers/{missing}"), "", b"");
    assert_eq!(referrers.header("link"), format!("</v2/a/b/referrers/{missing}?skip=1>; rel=\"next\""));
    let tags = request(&registry, "GET", "/v2/a/b/tags/list", "", b"");
    assert_eq!(tags.header("link"), "</v2/a/b/tags/list?n=1&last=x-1>; rel=\"next\"");
    assert_eq!(tags.json()["tags"], json!(["x-1"]));
    assert_eq!(registry.tags("a/b"), ["x-1", "x-2"]);
}

#[test]
fn faults_happen_as_often_as_they_are_told_to() {
    let registry = Registry::start();
    let target = format!("/v2/a/b/blobs/{}", registry.put_blob("a/b", b"0123456789"));
    let get = |headers: &str| Client::new(registry.address()).request("GET", &target, headers, b"");
    let part = get("\nRange: bytes=4-").unwrap();
    assert_eq!((part.status, part.header("content-range"), &part.body[..]), (206, "bytes 4-9/10", &b"456789"[..]));
    assert_eq!(get("\nRange: bytes=10-").unwrap().status, 416);
    registry.fail(Rule::on("GET", "/blobs/").after(1).times(2).status(429).header("Retry-After", "1"));
    let statuses: Vec<u16> = (0..4).map(|_| get("").unwrap().status).collect();
    assert_eq!(statuses, [200, 429, 429, 200]);
    registry.fail(Rule::on("*", "/blobs/").ignore_range().corrupt_body().wrong_digest_header());
    let odd = get("\nRange: bytes=4-").unwrap();
    assert_eq!((odd.status, &odd.body[..]), (200, &b"01234\x156789"[..]));
    registry.fail(Rule::on("*", "/blobs/").drop_after_response_bytes(4));
    registry.fail(Rule::on("*", "/blobs/").drop_before_answer());
    assert!(get("").is_none() && get("").is_none());
    registry.fail(Rule::on("*", "/blobs/").trickle(4, Duration::from_millis(20)).delay(Duration::from_millis(20)));
    let start = Instant::now();
    assert_eq!(get("").unwrap().body, b"0123456789");
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn dropping_a_registry_ends_a_stalled_request() {
    let registry = Registry::start();
    registry.fail(Rule::on("GET", "/v2/").stall());
    let mut client = Client::new(registry.address());
    client.send("GET /v2/ HTTP/1.1", b"");
    while registry.requests().is_empty() {
        std::thread::yield_now();
    }
    drop(registry);
    assert!(client.reply(false).is_none());
}

#[test]
fn a_proxy_cuts_after_so_many_bytes() {
    let registry = Registry::start();
    let proxy = Proxy::start(registry.address());
    let mut state = Client::new(proxy.address()).request("POST", UPLOADS, "", b"").unwrap();
    let before = proxy.sent();
    proxy.cut_after(vec![100_000, 50_000]);
    for cut in [100_000, 150_000] {
        let location = state.header("location").to_owned();
        assert!(Client::new(proxy.address()).request("PATCH", &location, "", &[7; 200_000]).is_none());
        assert_eq!(proxy.sent() - before, cut);
        state = request(&registry, "GET", &location, "", b"");
        let last: u64 = state.header("range").strip_prefix("0-").unwrap().parse().unwrap();
        let bodies: u64 = registry.requests().iter().map(|request| request.body_bytes).sum();
        assert!(last + 1 == bodies && cut - bodies < 300, "{last} {bodies}");
    }
    assert_eq!(proxy.cuts_left(), 0);
    assert!(proxy.received() > 0);
}

#[test]
fn uploads_are_as_odd_as_they_are_told_to_be() {
    let odd = Registry::builder().absolute_location("http://{host}").location_query("k=a%2Fb").chunk_min_length(5);
    let registry = odd.no_resume().refuse_streaming().mount_status(403).basic("user", "password").start();
    let ask = |method: &str, target: &str, body: &[u8]| {
        request(&registry, method, target, "\nAuthorization: Basic dXNlcjpwYXNzd29yZA==", body)
    };
    assert_eq!(request(&registry, "GET", "/v2/", "", b"").header("www-authenticate"), "Basic realm=\"test\"");
    let begun = ask("POST", UPLOADS, b"");
    assert_eq!(begun.header("oci-chunk-min-length"), "5");
    let host = format!("http://{}", registry.host());
    let location = begun.header("location").strip_prefix(&host).unwrap();
    assert_eq!(ask("PATCH", &location.replace("&k=a%2Fb", ""), b"12345").status, 400);
    assert_eq!(ask("GET", location, b"").status, 404);
    let short = ask("PATCH", location, b"1234");
    let location = short.header("location").strip_prefix(&host).unwrap();
    assert_eq!(ask("PATCH", location, b"56789").status, 416);
    assert_eq!(ask("PUT", &format!("{location}&digest={}", Digest::of(b"1234")), b"").status, 201);
    assert_eq!(ask("POST", &format!("{UPLOADS}?mount={}&from=x", Digest::of(b"1234")), b"").status, 403);
}

#[test]
fn threads_may_share_them() {
    fn shared<T: Send + Sync + fmt::Debug>() {}
    shared::<Registry>();
    shared::<Proxy>();
}
