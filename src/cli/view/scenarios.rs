//! Before and after: what becomes of each tier in each scenario, for a person.

use crate::cli::outlook::{ScenarioTier, Told};
use crate::cli::table::Grid;

use super::outlook::places;

const SAME: &str = "the same";

/// The table of scenarios; zones without the first `cut` letters.
pub fn scenarios_table(tiers: &[ScenarioTier], cut: usize) -> String {
    let table = Scenarios::of(tiers, cut);
    let mut grid = Grid::new(table.heads.iter().map(|head| head.to_uppercase()));
    for row in table.rows {
        grid.row(row.cells());
    }
    grid.print()
}

/// The scenarios of all tiers, as every format tells them.
pub struct Scenarios {
    /// What the columns are called.
    pub heads: Vec<&'static str>,
    /// One for each scenario of each tier.
    pub rows: Vec<Row>,
}

/// A tier in a scenario.
pub struct Row {
    /// Its name, in its first row only.
    pub tier: String,
    /// The scenario.
    pub scenario: String,
    /// Where its pods are.
    pub today: String,
    /// Where they would be with the recommended constraint, if that is compared.
    pub if_spread: Option<String>,
    /// Whether fewer pods would then stay Pending, or more.
    pub pending: Option<(usize, usize)>,
}

impl Scenarios {
    /// Of these tiers; zones without the first `cut` letters.
    pub fn of(tiers: &[ScenarioTier], cut: usize) -> Self {
        let is_compared = tiers.iter().any(|tier| tier.if_spread.is_some());
        let columns = ["Tier", "Scenario", "Today"].into_iter();
        Self {
            heads: columns.chain(is_compared.then_some("If spread")).collect(),
            rows: tiers.iter().flat_map(|tier| rows(tier, is_compared, cut)).collect(),
        }
    }
}

impl Row {
    /// In the order of the columns.
    pub fn cells(self) -> Vec<String> {
        let Self { tier, scenario, today, if_spread, .. } = self;
        [tier, scenario, today].into_iter().chain(if_spread).collect()
    }

    /// Whether the constraint changes nothing, or is not compared.
    pub fn is_same(&self) -> bool {
        self.if_spread.as_deref().is_none_or(|then| then == SAME)
    }
}

fn rows(tier: &ScenarioTier, is_compared: bool, cut: usize) -> Vec<Row> {
    let row = |(at, today): (usize, &Told)| {
        let told = places(&today.pods, cut);
        let then = tier.if_spread.as_ref().and_then(|all| all.get(at));
        let if_spread = is_compared.then(|| match then.map(|then| places(&then.pods, cut)) {
            None => "-".to_owned(),
            Some(then) if then == told => SAME.to_owned(),
            Some(then) => then,
        });
        Row {
            tier: if at == 0 { tier.name() } else { String::new() },
            scenario: scenario(today),
            today: told,
            if_spread,
            pending: then.map(|then| (today.pods.pending, then.pods.pending)),
        }
    };
    tier.today.iter().enumerate().map(row).collect()
}

fn scenario(told: &Told) -> String {
    match &told.zone {
        Some(zone) => format!("without {zone}"),
        None if told.scenario == "scaleOut" => "scaled out x2".to_owned(),
        None => told.scenario.to_owned(),
    }
}
