//! Reading Prometheus text: as much of the format as counters, gauges and histograms need.

use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series' name, `_bucket`, `_sum` and `_count` included.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// Whether it has this name and at least these labels.
    pub fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|(key, value)| self.labels.get(*key).is_some_and(|own| own == value))
    }

    /// All samples of a scrape.
    pub fn parse_all(text: &str) -> Vec<Self> {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| Self::parse(line).unwrap_or_else(|| panic!("not a sample: {line}")))
            .collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (series, value) = match line.rfind('}') {
            Some(end) => line.split_at(end + 1),
            None => line.split_at(line.find(' ')?),
        };
        let value = match value.split_whitespace().next()? {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            number => number.parse().ok()?,
        };
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        Some(Self {
            name: name.trim().to_owned(),
            labels: parse_labels(labels.strip_suffix('}')?)?,
            value,
        })
    }
}

/// `key="value",…` with `\\`, `\"` and `\n` in values.
fn parse_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while let Some((key, rest)) = text.split_once("=\"") {
        let mut value = String::new();
        let mut characters = rest.char_indices();
        loop {
            match characters.next()? {
                (end, '"') => {
                    text = &rest[end + 1..];
                    break;
                }
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        }
        labels.insert(key.trim_start_matches([',', ' ']).to_owned(), value);
    }
    Some(labels)
}

/// Status and body of a GET on the loopback interface. HTTP/1.0, so that the answer is
/// whatever comes until the server closes: no client library for one line of protocol.
pub async fn get(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let invalid = || std::io::Error::other(format!("not an HTTP answer: {answer}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(invalid)?, body.to_owned()))
}

#[test]
fn a_scrape_is_read_with_its_labels_and_escapes() {
    let text = "# HELP x y\nup 1\ntier_pods{zone=\"2a\",tier=\"a \\\"b\\\",c}\"} 3 1700\nb{le=\"+Inf\"} +Inf\n";
    let samples = Sample::parse_all(text);
    assert_eq!(samples.len(), 3);
    assert!(samples[0].is("up", &[]) && samples[0].value.to_bits() == 1f64.to_bits());
    assert!(samples[1].is("tier_pods", &[("zone", "2a"), ("tier", "a \"b\",c}")]));
    assert!(!samples[1].is("tier_pods", &[("zone", "2b")]));
    assert_eq!(samples[1].value.to_bits(), 3f64.to_bits());
    assert!(samples[2].value.is_infinite());
}
