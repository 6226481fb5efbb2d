//! The fewest moves that even out a tier, counted without the operator's help.

/// The fewest moves to this skew, or to the lowest above it that can be reached when one zone
/// gets no pods. The zones end between some floor and so many pods more: what the poor lack of
/// the floor, or the rich have above the ceiling, whichever is more.
pub fn fewest_moves(spread: &[i32], max_skew: i32, closed: Option<usize>) -> i32 {
    let pods: i32 = spread.iter().sum();
    let moves = |floor: i32, skew: i32| {
        let room = |zone: usize, count: i32| {
            if closed == Some(zone) { count.min(floor + skew) } else { floor + skew }
        };
        let counts = || spread.iter().copied().enumerate();
        let holds_all = counts().map(|(zone, count)| room(zone, count)).sum::<i32>() >= pods;
        let is_reached = closed.is_none_or(|zone| spread[zone] >= floor);
        let lack: i32 = counts().map(|(_, count)| (floor - count).max(0)).sum();
        let excess: i32 = counts().map(|(_, count)| (count - floor - skew).max(0)).sum();
        (holds_all && is_reached).then_some(lack.max(excess))
    };
    let most = pods / i32::try_from(spread.len()).unwrap();
    let to = |skew: i32| (0..=most).filter_map(|floor| moves(floor, skew)).min();
    (max_skew..=pods).find_map(to).unwrap_or(0)
}

#[test]
fn the_fewest_moves_are_known() {
    let fewest = |spread: &[i32], max_skew| fewest_moves(spread, max_skew, None);
    assert_eq!(fewest(&[3, 3, 0], 1), 2);
    assert_eq!(fewest(&[3, 3, 0], 2), 1);
    assert_eq!(fewest(&[5, 4, 0], 1), 3);
    assert_eq!(fewest(&[2, 2, 2], 1), 0);
    assert_eq!(fewest(&[0, 6, 0], 3), 2);
    // One for zone a would do, but it gets none.
    assert_eq!(fewest_moves(&[0, 6, 0], 3, Some(0)), 3);
    assert_eq!(fewest_moves(&[0, 6, 0], 1, Some(0)), 3);
}
