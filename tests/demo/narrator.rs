//! What the reader sees: short sentences, tables as kubectl prints them, colours only
//! on a terminal that wants them.

use crate::harness::Cluster;
use crate::petclinic::{self, MANAGED, TIERS, UNMANAGED};
use crate::recovery;
use std::fmt::Write as _;
use std::io::{IsTerminal, Stdout, Write};

const INDENT: &str = "   ";
/// Of the narrowest terminal that people have.
const WIDTH: usize = 80;
const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";

/// Writes the story to stdout.
pub struct Narrator {
    out: Stdout,
    colours: bool,
    steps: usize,
}

impl Narrator {
    /// Colours when stdout is a terminal and `NO_COLOR` is not set.
    pub fn new() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let out = std::io::stdout();
        Self { colours: out.is_terminal() && !unwanted, out, steps: 0 }
    }

    /// The first line.
    pub fn title(&self, text: &str) {
        self.put(&format!("\n{}", self.paint(BOLD, text)));
    }

    /// A numbered heading.
    pub fn step(&mut self, text: &str) {
        self.steps += 1;
        let heading = format!("{}. {text}", self.steps);
        self.put(&format!("\n{}", self.paint(BOLD, &heading)));
    }

    /// A line of prose.
    pub fn line(&self, text: &str) {
        self.put(&format!("{INDENT}{text}"));
    }

    /// What the operator says of itself.
    pub fn quote(&self, text: &str) {
        if !text.is_empty() {
            self.line("The operator says:");
            for line in folded(text) {
                self.line(&self.paint(BOLD, &line));
            }
        }
    }

    /// A line that tells good news.
    pub fn succeeded(&self, text: &str) {
        self.put(&format!("{INDENT}{}", self.paint(GREEN, text)));
    }

    /// A line that tells bad news.
    pub fn failed(&self, text: &str) {
        self.put(&format!("{INDENT}{}", self.paint(RED, text)));
    }

    /// Text as a program wrote it.
    pub fn output(&self, text: &str) {
        self.put("");
        for line in text.trim_end().lines() {
            self.put(&format!("{INDENT}{line}"));
        }
        self.put("");
    }

    /// A document, a little in the background.
    pub fn document(&self, text: &str) {
        self.put("");
        for line in text.trim_end().lines() {
            self.put(&format!("{INDENT}{}", self.paint(DIM, line)));
        }
    }

    /// A kubectl command and what it prints.
    pub async fn kubectl(&self, cluster: &Cluster, arguments: &[&str]) {
        let output = cluster.kubectl(arguments).await;
        let command = format!("$ kubectl {}", arguments.join(" "));
        self.put(&format!("\n{INDENT}{}", self.paint(DIM, &command)));
        for line in output.unwrap_or_else(|error| panic!("{error}")).lines() {
            self.put(&format!("{INDENT}{line}"));
        }
    }

    /// The policy as `kubectl get` shows it, but for what is no news.
    pub async fn policies(&self, cluster: &Cluster) {
        let (header, cells) = recovery::policy_row(cluster).await;
        let command = format!("kubectl get zonespreadpolicies -n {MANAGED}, most columns:");
        self.put(&format!("\n{INDENT}{}", self.paint(DIM, &command)));
        self.put(&format!("{INDENT}{}", row(&header)));
        self.put(&format!("{INDENT}{}", row(&cells)));
    }

    /// A row of the watch: the seconds since the zone came back, and the cells.
    pub fn watched(&self, seconds: Option<f64>, cells: &[String]) {
        let time = seconds.map_or_else(|| "TIME".to_owned(), |seconds| format!("+{seconds:.0}s"));
        self.put(&format!("{INDENT}{time:<6}{}", row(cells)));
    }

    /// Pods by tier and zone in both namespaces, counted independently of the operator.
    pub async fn counts(&self, cluster: &Cluster) {
        self.put("");
        let mut header = None;
        for (tier, _) in TIERS {
            let managed = petclinic::spread(cluster, MANAGED, tier).await;
            let unmanaged = petclinic::spread(cluster, UNMANAGED, tier).await;
            header.get_or_insert_with(|| {
                let zones = managed.keys().map(|zone| cell(&zone[zone.len() - 2..]));
                let zones: String = zones.collect();
                let width = zones.len() + 4;
                let groups = format!("{:<12}{MANAGED:^width$}{UNMANAGED:^width$}", "");
                self.put(&format!("{INDENT}{}", self.paint(DIM, groups.trim_end())));
                let zones = format!("{:<12}{zones}        {zones}", "PODS IN");
                self.put(&format!("{INDENT}{}", self.paint(DIM, &zones)));
            });
            let row = |spread: &crate::harness::Spread| -> String {
                spread.values().map(|count| cell(&count.to_string())).collect()
            };
            self.put(&format!("{INDENT}{tier:<12}{}        {}", row(&managed), row(&unmanaged)));
        }
    }

    /// Flushed line by line: the next one may take a while. A reader that has gone away
    /// (`| head`) is no reason to stop before everything is cleaned up.
    fn put(&self, line: &str) {
        let mut out = self.out.lock();
        let _ = writeln!(out, "{line}");
        let _ = out.flush();
    }

    /// An empty line.
    pub fn gap(&self) {
        self.put("");
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The text in lines that fit beside the indentation.
fn folded(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH - INDENT.len() {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// The cells of a policy side by side, within 80 columns.
fn row(cells: &[String]) -> String {
    let mut row = String::new();
    for (cell, width) in cells.iter().zip([17, 6, 13, 7, 12]) {
        let _ = write!(row, "{cell:<width$} ");
    }
    row.trim_end().to_owned()
}

fn cell(text: &str) -> String {
    format!("{text:>4}")
}
