//! Before and after: what becomes of each tier in each scenario, for a person.

use crate::cli::outlook::{ScenarioTier, Told};
use crate::cli::table::Grid;

use super::outlook::places;

/// The table of scenarios; zones without the first `cut` letters.
pub fn scenarios_table(tiers: &[ScenarioTier], cut: usize) -> String {
    let is_compared = tiers.iter().any(|tier| tier.if_spread.is_some());
    let columns = ["TIER", "SCENARIO", "TODAY"].into_iter();
    let mut grid = Grid::new(columns.chain(is_compared.then_some("IF SPREAD")));
    for tier in tiers {
        let name = tier.name();
        for (at, today) in tier.today.iter().enumerate() {
            let first = if at == 0 { name.as_str() } else { "" };
            let mut cells = vec![first.to_owned(), scenario(today), places(&today.pods, cut)];
            if is_compared {
                let then = tier.if_spread.as_ref().and_then(|told| told.get(at));
                let then = then.map_or_else(|| "-".to_owned(), |told| places(&told.pods, cut));
                cells.push(if then == cells[2] { "the same".to_owned() } else { then });
            }
            grid.row(cells);
        }
    }
    grid.print()
}

fn scenario(told: &Told) -> String {
    match &told.zone {
        Some(zone) => format!("without {zone}"),
        None if told.scenario == "scaleOut" => "scaled out x2".to_owned(),
        None => told.scenario.to_owned(),
    }
}
