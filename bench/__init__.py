"""Measures Saker beside its peers: ratios in one run on one machine, so that the machine's speed cancels out.

python -m bench             everything
python -m bench gateway     one part
python -m bench --quick     everything, shorter
"""
