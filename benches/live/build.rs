//! The builds that are compared.

/// A build of zonespread.
pub struct Build {
    pub name: &'static str,
    pub binary: String,
}

/// The build of this checkout, and the one that `BASELINE` names, if it does.
pub fn all() -> Vec<Build> {
    let this = Build { name: "this build", binary: env!("CARGO_BIN_EXE_zonespread").to_owned() };
    let baseline = std::env::var("BASELINE").ok().filter(|path| !path.is_empty());
    let baseline = baseline.map(|path| {
        let binary = std::path::absolute(&path).unwrap();
        assert!(binary.is_file(), "BASELINE={path} is no file");
        Build { name: "baseline", binary: binary.display().to_string() }
    });
    std::iter::once(this).chain(baseline).collect()
}

/// How many times each build is measured, by turns: `ROUNDS=n`, else once.
pub fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// A table with a row for each measurement, and with the ratio of this build to the baseline.
pub struct Table {
    columns: &'static [&'static str],
    rows: Vec<(&'static str, Vec<f64>)>,
}

impl Table {
    /// With these columns of numbers.
    pub const fn new(columns: &'static [&'static str]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// A measurement, one number for each column.
    pub fn add(&mut self, build: &Build, numbers: Vec<f64>) {
        assert_eq!(numbers.len(), self.columns.len(), "a number for each column");
        self.rows.push((build.name, numbers));
    }

    /// Prints the rows, and below them the ratio of the means.
    pub fn print(&self) {
        let head: Vec<String> = self.columns.iter().map(|column| format!("{column:>19}")).collect();
        println!("  {:<12} {}", "", head.join(" "));
        for (name, numbers) in &self.rows {
            println!("  {name:<12} {}", row(numbers));
        }
        let means: Option<Vec<f64>> = (0..self.columns.len())
            .map(|column| Some(self.mean("this build", column)? / self.mean("baseline", column)?))
            .collect();
        if let Some(means) = means {
            println!("  {:<12} {}", "ratio", row(&means));
        }
        println!();
    }

    fn mean(&self, build: &str, column: usize) -> Option<f64> {
        let numbers = self.rows.iter().filter(|(name, _)| *name == build);
        let numbers: Vec<f64> = numbers.map(|(_, numbers)| numbers[column]).collect();
        (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
    }
}

fn row(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:>19.2}")).collect();
    numbers.join(" ")
}
