//! The table: medians, and the quartiles of paired ratios.

/// Prints the times with their ratios to these columns. A ratio is taken inside each round and its
/// median over all rounds, so that what slows the machine for a while slows both sides of it.
pub(crate) fn print(times: &[(&'static str, Vec<f64>)], references: &[&str]) {
    let references: Vec<_> = times
        .iter()
        .filter(|(name, _)| references.contains(name))
        .collect();
    print!("| {:<30} | median  ", "");
    for (name, _) in &references {
        print!("| {:<21} ", format!("× {name}"));
    }
    print!("|\n|{:-<32}|{:-<9}", "", "");
    for _ in &references {
        print!("|{:-<23}", "");
    }
    println!("|");
    for (name, column) in times {
        print!("| {name:<30} | {:4.2} ms ", quartiles(column.clone())[1]);
        for (_, reference) in &references {
            let ratios = column.iter().zip(reference).map(|(a, b)| a / b).collect();
            let [low, middle, high] = quartiles(ratios);
            let text = format!("{middle:.2} ({low:.2} to {high:.2})");
            print!("| {text:<21} ");
        }
        println!("|");
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
