//! Why a request failed, as people write it: what, where, and what would help.

use std::error::Error as _;
use std::fmt::Write as _;

use kube::Error;
use kube::client::AuthError;

use crate::act::REQUEST_TIMEOUT;

/// What is said of a request that was given up.
pub fn no_answer() -> String {
    format!("no answer within {}s", REQUEST_TIMEOUT.as_secs())
}

/// Why a request got no proper answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cause {
    /// Nothing listens there.
    Refused,
    /// No such host.
    UnknownHost,
    /// The server's certificate is not trusted.
    Certificate(String),
    /// No answer in time.
    TimedOut,
    /// The API server answered; its code and its message.
    Answered(u16, String),
    /// Credentials could not be made.
    Login(String),
    /// Anything else.
    Other(String),
}

/// The most bytes that are shown of what an exec plugin says.
const MOST: usize = 500;

fn cause_of(error: &Error) -> Cause {
    match error {
        Error::Api(status) => return Cause::Answered(status.code, status.message.clone()),
        Error::Auth(error) => return login(error),
        _ => {}
    }
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<Error>() {
            // A layer of the client wraps errors of another one.
            return cause_of(error);
        }
        if let Some(error) = cause.downcast_ref::<AuthError>() {
            return login(error);
        }
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            match error.kind() {
                std::io::ErrorKind::ConnectionRefused => return Cause::Refused,
                std::io::ErrorKind::TimedOut => return Cause::TimedOut,
                _ => {}
            }
        }
        causes.push(cause.to_string());
        next = cause.source();
    }
    let says = |text: &str| causes.iter().any(|cause| cause.contains(text));
    if says("failed to lookup address information") || says("dns error") {
        return Cause::UnknownHost;
    }
    if let Some(cause) = causes.iter().find(|cause| cause.contains("invalid peer certificate")) {
        let (_, why) = cause.split_once("invalid peer certificate: ").unwrap_or(("", cause));
        return Cause::Certificate(why.to_owned());
    }
    if says("deadline has elapsed") || says("timed out") {
        return Cause::TimedOut;
    }
    // The innermost says what happened, those around it where.
    Cause::Other(causes.pop().unwrap_or_else(|| error.to_string()))
}

fn login(error: &AuthError) -> Cause {
    Cause::Login(match error {
        // Displayed, it is the plugin's output byte by byte.
        AuthError::AuthExecRun { cmd, out } => {
            let said = String::from_utf8_lossy(&out.stderr);
            format!("{cmd} failed ({}): {}", out.status, crate::api::text::cut(said.trim(), MOST))
        }
        error => error.to_string(),
    })
}

/// Why a request failed, without where it went: for logs that say that elsewhere.
#[must_use]
pub fn error_text(error: &Error) -> String {
    match cause_of(error) {
        Cause::Refused => "the connection is refused".to_owned(),
        Cause::UnknownHost => "the host is unknown".to_owned(),
        Cause::Certificate(why) => format!("the API server's certificate is not trusted ({why})"),
        Cause::TimedOut => "no answer in time".to_owned(),
        Cause::Answered(_, message) => message,
        Cause::Login(why) => format!("cannot log in: {why}"),
        Cause::Other(why) => why,
    }
}

/// The same with the API server's address and with what would help. `rights` says where
/// rights are described or given.
#[must_use]
pub fn error_with_remedy(error: &Error, address: &str, rights: &str) -> String {
    // Without the slash that every URL has.
    let address = address.trim_end_matches('/');
    let mut text = String::new();
    let _ = match cause_of(error) {
        Cause::Refused => write!(
            text,
            "{address} refuses the connection: is the API server running there, and is that the cluster you mean (--context)?"
        ),
        Cause::UnknownHost => write!(
            text,
            "the host of {address} is unknown: check the address in the kubeconfig, DNS and VPN"
        ),
        Cause::Certificate(why) => write!(
            text,
            "the certificate of {address} is not trusted ({why}): check certificate-authority in the kubeconfig, or whether something answers in the API server's place"
        ),
        Cause::TimedOut => {
            write!(text, "{address} does not answer in time: check network, VPN and firewall")
        }
        Cause::Answered(401, _) => write!(
            text,
            "{address} does not accept the credentials (401 Unauthorized): log in again, or choose another --context"
        ),
        Cause::Answered(403, message) => write!(text, "{message} ({address}): {rights}"),
        Cause::Answered(code, message) => write!(text, "{address} says {code}: {message}"),
        Cause::Login(why) => write!(
            text,
            "cannot log in to {address}: {why}; check the user of the kubeconfig's context"
        ),
        Cause::Other(why) => write!(text, "the request to {address} failed: {why}"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn failed(kind: std::io::ErrorKind, text: &str) -> Error {
        Error::Service(Box::new(std::io::Error::new(kind, text.to_owned())))
    }

    fn answered(code: u16, message: &str) -> Error {
        let status = serde_json::json!({"code": code, "message": message, "reason": "Some"});
        Error::Api(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[rstest]
    #[case::refused(
        failed(std::io::ErrorKind::ConnectionRefused, "x"),
        "https://api:6443 refuses the connection: is "
    )]
    #[case::host(
        failed(
            std::io::ErrorKind::Other,
            "failed to lookup address information: Name or service not known"
        ),
        "the host of https://api:6443 is unknown: check "
    )]
    #[case::certificate(
        failed(std::io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer"),
        "the certificate of https://api:6443 is not trusted (UnknownIssuer): check "
    )]
    #[case::credentials(
        answered(401, "Unauthorized"),
        "https://api:6443 does not accept the credentials (401 Unauthorized): log in"
    )]
    #[case::rights(
        answered(403, "pods is forbidden"),
        "pods is forbidden (https://api:6443): see the file"
    )]
    #[case::other(answered(500, "etcd is gone"), "https://api:6443 says 500: etcd is gone")]
    fn an_error_says_where_why_and_what_would_help(#[case] error: Error, #[case] said: &str) {
        let text = error_with_remedy(&error, "https://api:6443/", "see the file");
        assert!(text.starts_with(said), "{text}");
        for rust in ["Status {", "Error(", "Some(", "ApiError"] {
            assert!(!text.contains(rust) && !error_text(&error).contains(rust), "{text}");
        }
    }
}
