//! Answers of commands as people read them: tables on one screen.

mod drill;
mod history;
mod html;
mod lint;
mod lint_metrics;
mod outlook;
mod outlook_markdown;
mod outlook_page;
mod page;
mod plan;
mod policy;
mod prediction;
mod sarif;
mod scenarios;
mod scheduler;

pub use drill::{drill_result, drill_table};
pub use history::history_table;
pub use lint::lint_table;
pub use lint_metrics::lint_metrics;
pub use outlook::outlook_table;
pub use outlook_markdown::outlook_markdown;
pub use outlook_page::outlook_page;
pub use page::{PAGE_ICON, PAGE_SCRIPT, PAGE_STYLE, PageView, Section, page, sections};
pub use plan::{Plans, PolicyPlan, plan_table};
pub use policy::policy_table;
pub use prediction::PredictionTable;
pub use sarif::lint_sarif;
pub use scheduler::PredictedScheduler;

use crate::observe::{Index, PodId};

/// How many nodes a table names.
const NODES_SHOWN: usize = 3;

/// Pods by namespace and name.
pub fn pod_names(index: &Index, pods: &[PodId]) -> Vec<String> {
    let pods = pods.iter().filter_map(|id| index.cluster().pod(*id));
    pods.map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
}

/// The first names of a list, and how many more there are of `total`.
fn shortened(names: &[String], total: usize) -> String {
    let shown = names.iter().take(NODES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match total.saturating_sub(NODES_SHOWN.min(names.len())) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
