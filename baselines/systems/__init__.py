"""Systems: what a cited paper trained as a whole, its neuron's constants, surrogate and read-out, one file each."""
