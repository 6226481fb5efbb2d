fn main() {
    println!("demo of {}", env!("CARGO_BIN_EXE_zonespread"));
}
