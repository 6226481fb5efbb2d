//! Who may ask: the page shows what the user's kubeconfig may read, so only programs of this
//! machine, and of those no page of another site.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{StatusCode, uri::Authority};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Nothing is loaded from elsewhere, sent elsewhere or framed, and no script in the page's text
/// is run, whatever a name in the cluster says.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what every answer has.
fn harden(headers: &mut HeaderMap) {
    let mut add = |name, value| headers.insert(name, HeaderValue::from_static(value));
    add(header::CONTENT_SECURITY_POLICY, POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::CACHE_CONTROL, "no-store");
    add(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
}

/// Reads an address on loopback.
///
/// # Errors
/// When it is no address, or others could reach it.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let full = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = full.as_deref().unwrap_or(text).parse().map_err(|_| {
        "expected an address and a port on loopback, such as 127.0.0.1:8090".to_owned()
    })?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "{} is not on loopback: everybody who reaches it would see what your kubeconfig may read. Use 127.0.0.1:{port}, and from another machine `ssh -L {port}:127.0.0.1:{port}`",
        address.ip(),
        port = address.port(),
    ))
}

/// Lets through who asks for this machine by its own name, and adds the headers.
pub async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_local(&request) {
        next.run(request).await
    } else {
        let why = "The Host header names neither localhost nor a loopback address: open the page by the address that zonespread ui has printed.\n";
        (StatusCode::FORBIDDEN, why).into_response()
    };
    harden(response.headers_mut());
    response
}

/// Whether it was sent to a name that only this machine has. A page of another site that has its
/// own name resolve to 127.0.0.1 sends that name.
fn is_local(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let authorities = [host.to_str().ok(), request.uri().authority().map(Authority::as_str)];
    host.to_str().is_ok() && authorities.into_iter().flatten().all(is_local_name)
}

fn is_local_name(host: &str) -> bool {
    // What comes before an @ is no host, and a browser sends none.
    let Some(authority) = host.parse::<Authority>().ok().filter(|_| !host.contains('@')) else {
        return false;
    };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use rstest::rstest;

    #[rstest]
    #[case("127.0.0.1:8090", true)]
    #[case("[::1]:8090", true)]
    #[case("localhost", true)]
    #[case("LOCALHOST:9000", true)]
    #[case("evil.example:8090", false)]
    #[case("127.0.0.1.evil.example", false)]
    #[case("localhost.evil.example", false)]
    #[case("localhost@evil.example", false)]
    #[case("127.0.0.1@localhost", false)]
    #[case("192.168.1.7:8090", false)]
    #[case("0.0.0.0:8090", false)]
    #[case("", false)]
    fn only_names_of_this_machine_are_let_through(#[case] host: &str, #[case] passes: bool) {
        let request = Request::get("/").header("host", host).body(Body::empty()).unwrap();
        assert_eq!(is_local(&request), passes);
    }

    #[test]
    fn one_host_is_named_and_the_target_names_no_other() {
        let request = |uri: &str, hosts: &[&str]| {
            let mut request = Request::get(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            request.body(Body::empty()).unwrap()
        };
        assert!(is_local(&request("http://127.0.0.1:8090/", &["127.0.0.1:8090"])));
        assert!(!is_local(&request("http://evil.example/", &["127.0.0.1:8090"])));
        assert!(!is_local(&request("/", &["localhost", "evil.example"])));
        assert!(!is_local(&request("/", &[])));
    }

    #[rstest]
    #[case("127.0.0.1:0", Ok("127.0.0.1:0"))]
    #[case("127.8.8.8:80", Ok("127.8.8.8:80"))]
    #[case("localhost:8090", Ok("127.0.0.1:8090"))]
    #[case("[::1]:8090", Ok("[::1]:8090"))]
    #[case("0.0.0.0:8090", Err("not on loopback"))]
    #[case("[::]:8090", Err("not on loopback"))]
    #[case("10.0.0.1:8090", Err("ssh -L 8090:127.0.0.1:8090"))]
    #[case(":8090", Err("expected an address"))]
    #[case("8090", Err("expected an address"))]
    fn only_loopback_is_listened_on(#[case] text: &str, #[case] read: Result<&str, &str>) {
        match (loopback(text), read) {
            (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (told, _) => panic!("{text}: {told:?}"),
        }
    }
}
