"""Learning methods of other papers that the results of this package are set against."""
