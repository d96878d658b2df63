p='notebooks/11_stability.py'; s=open(p).read()
def r(a,b,n=1):
    global s
    assert s.count(a)==n,(s.count(a),a)
    s=s.replace(a,b)
r("""# @@ What the search chose, and how clear the choice was.
# One epoch rewards a fast start, and the recipe was tuned with more care, so the comparison is kind to the recipe.
""","""# With *nothing*, no pair of rates works: the FID never falls below 800.
# All four techniques do best at the highest rates that we tried, so there may be better ones beyond, and one epoch rewards a fast start, so the comparison is kind to the recipe, which was tuned with more care.
""")
r("in @@ hours; we read","in {HOURS} hours on two cores; we read")
r("@@ Fourteen rows on a logarithmic axis of ratios, each with five dots, a thick and a thin horizontal line. A dotted vertical line marks the ratio 1.","Fourteen rows on a logarithmic axis of ratios, each with five dots, a thick and a thin horizontal line. A dotted vertical line marks the ratio 1. {ALT}")
i=s.index("# @@ What can be told"); j=s.index("# The moving average can be judged in all settings")
s=s[:i]+"""# *With batch normalization in the discriminator, the rest hardly matters.*
# {WITHBN}
#
# *Without it, something has to take its place.*
# {WITHOUT}
#
# *Seeing the batch can decide.*
# {VARIETY}
#
# So does the question of the smallest game, what becomes of the slope, predict who survives?
# It fits that R1, which levels the slope, can do without the term for variety, and that spectral normalization, which only bounds it, cannot.
# But nothing, too, had that term and collapsed, and all our evidence is five seeds of one small network, so this is no more than a fit.
#
"""+s[j:]
r("# @@ The average: in how many settings it helps, by which factor, where it does not.","# {AVERAGE}")
r("# *Cure*: a discriminator that judges each image by itself.\n","# *Cure*: take the normalization out, or compare the two slopes first, as Exercise 4 does.\n")
r("# @@ What came out.","# {SUMMARY}")
open(p,'w').write(s)
