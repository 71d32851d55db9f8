"""Novel view synthesis from photographs."""
