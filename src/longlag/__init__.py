"""longlag: LSTM networks for sequences whose causes and effects lie far apart."""

from longlag.cell import CellSpec
from longlag.data.sequences import SequenceBatch
from longlag.nn.lstm import LSTM
from longlag.nn.network import Network

__all__ = ["LSTM", "CellSpec", "Network", "SequenceBatch"]
